"use strict";
(() => {
  document.documentElement.classList.add("js");
  const PAGE = 50;  // documents
  const LONG = 3000;  // characters, from which a document is folded at first
  const AHEAD = 8;  // parts that are loaded at the same time
  const KEPT = 32;  // chunks that stay in memory
  const FEW = 64;  // chunks that are read before anybody searches
  const REMEMBERED = 6e7;  // characters of folded texts that stay in memory
  const MOST_LABELS = 200;  // in the list at once
  const POLL = 10000;  // milliseconds
  const $ = (id) => document.getElementById(id);
  const make = (tag, about = {}, ...children) => {
    const { text, data, ...rest } = about;
    const made = Object.assign(document.createElement(tag), rest);
    if (text !== undefined) made.textContent = text;
    if (data) Object.assign(made.dataset, data);
    made.append(...children);
    return made;
  };
  const isolated = (text, className = "") => make("bdi", { text, className });
  const number = (value) => value.toLocaleString("en");
  const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
  const wide = matchMedia("(min-width: 60rem)");

  // ---- Parts of the data: in the page, in scripts beside it, or from a server.
  let meta = JSON.parse($("meta").textContent);
  const inPage = $("data") && JSON.parse($("data").textContent);
  const waiting = new Map();
  window.ner_ray = (name, content) => waiting.get(name)(content);  // called by the scripts beside the page
  const fromScript = (name) => new Promise((resolve, reject) => {
    const script = make("script", { src: `${meta.parts}/${name}.js?${meta.version}` });
    const end = (act, value) => { waiting.delete(name); script.remove(); act(value); };
    waiting.set(name, (content) => end(resolve, content));
    script.onerror = () => end(reject, new Error(`${meta.parts}/${name}.js cannot be loaded. Keep the folder ${meta.parts} beside this page.`));
    document.head.append(script);
  });
  class Outdated extends Error {}
  const fromServer = async (name, options) => {
    const asked = new URLSearchParams([...new URLSearchParams(location.search), ...options]);
    const response = await fetch(`${name}?${asked}`).catch(() => { throw new Error("The server does not answer. Is ner-ray browse still running?"); });
    if (response.status === 410) throw new Outdated();
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  };
  const loading = new Map();
  const load = (name, options = []) => {
    if (inPage) return Promise.resolve(inPage[name]);
    if (meta.live) return fromServer(`${meta.parts}/${meta.version}/${name}`, options);
    if (!loading.has(name)) loading.set(name, fromScript(name).finally(() => loading.delete(name)));
    return loading.get(name);
  };
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const kept = new Map();
  const remember = (key, most, load) => {
    const known = kept.get(key) || load();
    kept.delete(key);
    kept.set(key, known);
    known.catch(() => kept.delete(key));
    for (const old of kept.keys()) if (kept.size > most) kept.delete(old); else break;
    return known;
  };

  // ---- Labels: known from the beginning, or as they come.
  let labels = new Map();
  const labelOf = (name) => {
    if (!labels.has(name)) labels.set(name, { name, colour: [...name].reduce((sum, character) => sum + character.codePointAt(0), 0) % 24, count: 0, kinds: [] });
    return labels.get(name);
  };
  const coloured = (name) => `c${labelOf(name).colour}`;

  // ---- Chunks: documents with names for numbers.
  let starts = [];
  const place = (document) => {  // the chunk that holds a document
    let low = 0;
    for (let high = starts.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= document) low = middle; else high = middle - 1;
    }
    return low;
  };
  const chunkName = (chunk) => `${String(Math.floor(chunk / 1000)).padStart(3, "0")}/${String(chunk).padStart(6, "0")}`;
  const named = (content) => {
    for (const found of content.documents) {
      if (!found || found.ready) continue;
      found.sides = found.sides.map((marks) => marks.map(([start, end, label, score, how, kind = 0, partner = null]) => ({ start, end, label: content.labels[label], score, how, kind, partner })));
      for (const mention of found.unaligned || []) mention[1] = content.labels[mention[1]];
      found.ready = true;
    }
    return content.documents;
  };
  const chunkOf = (chunk) => remember(`${meta.version} ${chunk}`, KEPT, () => load(chunkName(chunk)).then(named));

  // ---- Search.
  const BLANKS = /[\t-\r \x85\u2028\u2029]{2,}|[\t-\r\x85\u2028\u2029]/g;  // all but a single space
  const fold = (text) => text.normalize("NFKC").toLowerCase().normalize("NFKC").replace(BLANKS, " ");
  const rowsOf = (folded) => {  // as ner_ray/viewer/search.py has them
    const isWide = (unit) => unit >= 0x2e80;
    const hash = (a, b, c) => (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35)) >>> 16;
    const rows = new Set();
    for (let at = 0; at + 1 < folded.length; at += 1) {
      const [a, b, c] = [0, 1, 2].map((step) => folded.charCodeAt(at + step));
      const two = isWide(a) && isWide(b);
      if (two) rows.add(hash(a, b, 0));
      if (at + 2 < folded.length && !(two && isWide(c))) rows.add(hash(a, b, c));
    }
    return [...rows];
  };
  const candidates = async (folded) => {  // the chunks that can contain a text
    const all = [...starts.keys()];
    const rows = meta.search ? rowsOf(folded) : [];
    if (!rows.length) return all;
    const width = Math.ceil(starts.length / 8);
    const parts = new Map(await Promise.all([...new Set(rows.map((row) => row >> 8))].map(async (part) => [part, bytes(await load(`search/${part.toString(16).padStart(2, "0")}`))])));
    return all.filter((chunk) => rows.every((row) => parts.get(row >> 8)[(row & 255) * width + (chunk >> 3)] >> (chunk & 7) & 1));
  };
  let folded = new Map();
  let remembered = 0;
  const foldedTexts = async (chunk) => {
    if (folded.has(chunk)) return folded.get(chunk);
    const mine = folded;
    const texts = (await chunkOf(chunk)).map((found) => fold(`${found.id}\n${found.text}`));
    if (remembered < REMEMBERED) {
      mine.set(chunk, texts);
      for (const text of texts) remembered += text.length;
    }
    return texts;
  };
  const prepare = async () => {  // so that the first search is quick, too
    if (meta.live || starts.length > FEW) return;
    const version = meta.version;
    for (const chunk of starts.keys()) {
      if (meta.version !== version) return;
      await foldedTexts(chunk);
      await new Promise((next) => (window.requestIdleCallback || setTimeout)(next));
    }
  };
  const within = async (chunk, wanted) => (await foldedTexts(chunk)).flatMap((text, i) => text.includes(wanted) ? starts[chunk] + i : []);
  const searches = async (wanted, numbers) => {  // functions that give, one after the other, the documents that contain a text
    if (meta.live) {
      let first = 0;
      return meta.blocks.map((rows, block) => {
        const from = first;
        first += rows;
        return async () => (await load(`find/${block}`, [["query", wanted]])).map((row) => from + row);
      });
    }
    const chunks = numbers && new Set(numbers.map(place));
    return (await candidates(wanted)).filter((chunk) => !chunks || chunks.has(chunk)).map((chunk) => () => within(chunk, wanted));
  };

  // ---- The index: which documents have which labels, scores, kinds, states and errors.
  const blocks = new Map();
  const blockOf = (block) => {
    if (!blocks.has(block)) blocks.set(block, load(`index/${String(block).padStart(4, "0")}`).then(unpacked));
    blocks.get(block).catch(() => blocks.delete(block));
    return blocks.get(block);
  };
  const unpacked = ({ rows, pairs, wide, labels, codes, data }) => {
    const { buffer } = bytes(data);
    let at = 0;
    const next = (kind, count) => {
      const values = new kind(buffer, at, count);
      at += values.byteLength;
      return values;
    };
    return { rows, labels, codes, bits: next(Uint32Array, rows), ends: next(Uint32Array, rows), pairs: next(wide ? Uint32Array : Uint16Array, pairs), states: next(Uint8Array, rows), values: next(Uint8Array, pairs) };
  };
  const chosenIn = (block, chosen, first) => {
    const { rows, labels, codes, bits, ends, pairs, states, values } = block;
    const state = meta.states.findIndex(([name]) => name === chosen.state);
    const bit = codes.indexOf(chosen.code);
    const wanted = labels.map((label) => !chosen.labels.size || chosen.labels.has(label));
    const mask = meta.kinds.reduce((sum, [name], i) => sum | (chosen.kinds.has(name) ? 1 << i : 0), 0);
    const least = Math.round(chosen.score * 100) + 1;
    const fits = mask ? (value) => value & mask : meta.kinds.length || !chosen.score ? () => true : (value) => value >= least;
    const any = !chosen.labels.size && !mask && !chosen.score;
    const found = [];
    for (let row = 0, pair = 0; row < rows; pair = ends[row], row += 1) {
      if (chosen.state && states[row] !== state) continue;
      if (chosen.code && (bit < 0 || !(bits[row] >>> Math.min(bit, 31) & 1))) continue;
      let fit = any;
      for (let at = pair; !fit && at < ends[row]; at += 1) fit = wanted[pairs[at]] && fits(values[at]);
      if (fit) found.push(first + row);
    }
    return found;
  };
  const chosenByIndex = async (chosen) => {
    const parts = await Promise.all(meta.blocks.map((_, block) => blockOf(block)));
    let first = 0;
    return parts.flatMap((block) => {
      const found = chosenIn(block, chosen, first);
      first += block.rows;
      return found;
    });
  };

  // ---- What is chosen: in the page's address, so that a link shows the same.
  let chosen = null;
  const read = () => {
    const from = new URLSearchParams(location.hash.slice(1));
    const score = Math.min(1, Math.max(0, Number(from.get("score")) || 0));
    return { query: from.get("query") || "", state: from.get("status") || "", code: from.get("code") || "", score, labels: new Set(from.getAll("label")), hidden: new Set(from.getAll("hide")), kinds: new Set(from.getAll("kind")), page: Math.max(1, parseInt(from.get("page"), 10) || 1), at: from.get("at") };
  };
  const write = (isStep) => {
    const to = new URLSearchParams();
    const some = { query: chosen.query, status: chosen.state, code: chosen.code, score: chosen.score || "", page: chosen.page > 1 ? chosen.page : "", at: chosen.at || "" };
    for (const [name, value] of Object.entries(some)) if (value) to.set(name, value);
    for (const [name, values] of [["label", chosen.labels], ["hide", chosen.hidden], ["kind", chosen.kinds]]) for (const value of values) to.append(name, value);
    const address = `#${to}`;
    if (address === (location.hash || "#")) return;
    try {
      history[isStep ? "pushState" : "replaceState"](null, "", address);
    } catch { /* a frame without an address */ }
  };
  const isFiltered = () => chosen.state || chosen.code || chosen.score || chosen.labels.size || chosen.kinds.size;
  const change = (what, isStep = true) => {
    chosen = { ...chosen, page: 1, at: null, ...what };
    write(isStep);
    show();
  };

  // ---- The documents that fit, and those of a page.
  let turn = 0;
  let found = { total: 0, done: true, share: 1 };
  const find = async (mine, tell) => {
    const numbers = isFiltered() ? await chosenByIndex(chosen) : null;
    const wanted = fold(chosen.query.trim());
    if (!wanted) return tell(numbers, true);
    const allowed = numbers && new Set(numbers);
    const steps = await searches(wanted, numbers);
    if (!steps.length) return tell([], true);
    const hits = [];
    const parts = [];
    for (let i = 0; i < steps.length && mine(); i += 1) {
      while (parts.length < Math.min(i + AHEAD, steps.length)) {
        parts.push(steps[parts.length]());
        parts.at(-1).catch(() => {});
      }
      for (const hit of await parts[i]) if (!allowed || allowed.has(hit)) hits.push(hit);
      parts[i] = null;
      if (mine()) tell(hits, i + 1 === steps.length, (i + 1) / steps.length);
    }
  };
  const show = async () => {
    const mine = ((at) => () => at === turn)(turn += 1);
    let drawn = 0;
    let told = 0;
    let last = null;
    document.documentElement.dataset.done = "";
    fields();
    legend();
    try {
      await find(mine, (numbers, done, share = 1) => {
        if (!mine()) return;
        found = { total: numbers ? numbers.length : meta.documents, done, share };
        if (done && chosen.page > pages()) chosen.page = pages();
        const first = (chosen.page - 1) * PAGE;
        const there = Math.min(found.total - first, PAGE);
        if (done || (there > drawn && (there === PAGE || performance.now() - told > 250))) {
          drawn = there;
          told = performance.now();
          const shown = numbers ? numbers.slice(first, first + PAGE) : Array.from({ length: Math.max(0, there) }, (_, i) => first + i);
          if (last?.join() !== shown.join()) draw(mine, shown).catch(fail);
          last = shown;
        }
        counts();
      });
    } catch (error) {
      if (mine()) fail(error);
    }
  };
  const fail = (error) => {
    if (error instanceof Outdated) return refresh();
    $("failure").hidden = false;
    $("failure").textContent = error.message;
  };

  // ---- Drawing: marks nest as spans do; one that crosses the end of another is drawn in pieces.
  const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g;  // browsers drop them, so they are shown as symbols
  const symbol = (text) => text.replace(CONTROL, (control) => String.fromCharCode(control === "\x7f" ? 0x2421 : 0x2400 + control.charCodeAt(0)));
  const unitsOf = (text) => {  // from code points to UTF-16 units
    if (!/[\ud800-\udfff]/.test(text)) return (at) => at;
    const places = [0];
    for (const character of text) places.push(places.at(-1) + character.length);
    return (at) => places[at];
  };
  const literal = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const hitsIn = (text, query) => {
    const wanted = query.trim();
    if (!wanted) return [];
    const pattern = new RegExp(wanted.split(/\s+/u).map(literal).join("\\s+"), "giu");
    const plain = [...text.matchAll(pattern)].map((hit) => [hit.index, hit.index + hit[0].length]);
    return plain.length || /^[\0-\x7f]*$/.test(text) ? plain : hitsByFolding(text, fold(wanted));
  };
  const hitsByFolding = (text, wanted) => {  // where case and width change the number of characters
    let all = "";
    const places = [];
    for (const part of text.matchAll(/\P{M}\p{M}*|\p{M}+/gu)) {
      const piece = fold(part[0]);
      if (piece === " " && all.endsWith(" ")) continue;
      for (let i = 0; i < piece.length; i += 1) places.push(part.index);
      all += piece;
    }
    places.push(text.length);
    const hits = [];
    for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + wanted.length)) hits.push([places[at], places[at + wanted.length]]);
    return hits;
  };
  const put = (parent, text, from, to, hits) => {
    for (const [start, end] of hits) {
      if (end <= from || start >= to) continue;
      if (start > from) parent.append(symbol(text.slice(from, start)));
      const begin = Math.max(start, from);
      from = Math.min(end, to);
      parent.append(make("span", { className: "hit", text: symbol(text.slice(begin, from)) }));
    }
    if (from < to) parent.append(symbol(text.slice(from, to)));
  };
  const marked = (text, marks, hits) => {
    const order = [...marks].sort((one, other) => one.from - other.from || other.to - one.to);
    const places = [...new Set(marks.flatMap((mark) => [mark.from, mark.to]))].sort((one, other) => one - other);
    const fragment = document.createDocumentFragment();
    const stack = [];
    const top = () => stack.length ? stack.at(-1).element : fragment;
    const open = (mark) => {
      const element = opened(mark, stack.some((outer) => outer.mark.to < mark.to));
      top().append(element);
      stack.push({ mark, element });
    };
    let coming = 0;
    let at = 0;
    for (const place of places) {
      put(top(), text, at, place, hits);
      at = place;
      const lowest = stack.findIndex((one) => one.mark.to <= place);
      if (lowest >= 0) for (const { mark } of stack.splice(lowest).filter((one) => one.mark.to > place)) open(mark);
      while (coming < order.length && order[coming].from === place) { open(order[coming]); coming += 1; }
    }
    put(fragment, text, at, text.length, hits);
    return fragment;
  };
  const kindOf = (mark) => mark.kind ? Math.log2(mark.kind) : -1;
  const opened = (mark, goesOn) => {
    const kind = meta.kinds[kindOf(mark)];
    const element = make("mark", { className: `${coloured(mark.label)} ${meta.hows[mark.how]}${goesOn ? " on" : ""}${kind ? ` k${kindOf(mark)}` : ""}` });
    const score = mark.score === null ? "" : ` · score ${mark.score.toFixed(2)}`;
    Object.assign(element.dataset, { e: mark.number, label: kind ? `${mark.label} ${kind[1]}`.trim() : mark.label });
    element.title = `${mark.label} · ${kind ? `${kind[0]} · ` : ""}${meta.hows[mark.how]}${score} · ${mark.start}–${mark.end}`;
    if (mark.partner !== null) element.dataset.partner = mark.partner;
    return element;
  };
  const isSeen = (mark) => !chosen.hidden.has(mark.label) && (!chosen.score || mark.score >= chosen.score) && (!chosen.kinds.size || chosen.kinds.has((meta.kinds[kindOf(mark)] || [])[0]));

  const unfolded = new Set();
  const textOf = (one, marks, hits, units) => {
    const seen = marks.map((mark, i) => ({ ...mark, number: i, from: units(mark.start), to: units(mark.end) })).filter(isSeen);
    const isLong = one.text.length > LONG;
    const text = make("div", { className: isLong ? "text long" : "text", dir: "auto" }, marked(one.text, seen, hits));
    if (isLong && unfolded.has(one.number)) text.classList.add("open");
    return text;
  };
  const coded = (text) => text.split("`").map((part, i) => i % 2 ? make("code", { text: part }) : part);
  const problems = (one) => make("ul", { className: "problems", ariaLabel: "Errors" }, ...one.errors.map(([code, stage, message]) => {
    const [, , meaning = "", remedy = ""] = meta.codes.find(([name]) => name === code) || [];
    return make("li", {}, make("code", { text: code }), " ", make("span", { className: "quiet", text: `in ${stage}` }), " ", isolated(message), ...(meaning ? [make("span", { className: "meaning" }, ...coded(`${meaning} ${remedy}`))] : []));
  }));
  const unaligned = (one) => make("section", { className: "unaligned" }, make("h3", { text: "Named, but not found in the text" }), make("ul", {}, ...one.unaligned.map(([text, label, times]) =>
    make("li", { className: label ? coloured(label) : "" }, isolated(text), ...(label ? [" ", isolated(label, "label")] : []), ...(times > 1 ? [" ", make("span", { className: "count", text: `×${times}` })] : []))),
  ...(one.more ? [make("li", { className: "more", text: `and ${number(one.more)} more` })] : [])));
  const shownKinds = (one) => meta.kinds.flatMap(([name, sign], i) => {
    const times = one.sides.flatMap((marks, side) => marks.filter((mark) => mark.kind === 1 << i && (!side || mark.partner === null))).length;
    return times ? [make("span", { className: `tally k${i}`, text: `${sign || "="} ${times}`, title: name })] : [];
  });
  const about = (one) => {
    const entities = one.sides.length > 1 ? [] : [plural(one.sides[0].length, "entity", "entities")];
    const tokens = one.usage ? [`${number(one.usage[0])} + ${number(one.usage[1])} tokens`] : [];
    return [...entities, plural(one.text.length + (one.cut || 0), "character", "characters"), ...tokens].join(" · ");
  };
  const article = (one, place, isLast) => {
    const state = meta.states[one.state || 0][0];
    const units = unitsOf(one.text);
    const hits = hitsIn(one.text, chosen.query);
    const made = make("article", { id: `d${one.number}`, tabIndex: -1, data: { number: one.number } });
    const step = (id, arrow, name) => make("a", { href: `#${id}`, text: arrow, ariaLabel: name, data: { step: arrow === "↑" ? -1 : 1 } });
    made.append(make("header", {},
      make("h2", {}, make("a", { href: `#at=${one.number}`, title: "Link to this document", data: { at: one.number } }, isolated(one.id))),
      make("span", { className: `badge ${state.replaceAll(" ", "_")}`, text: state }), ...shownKinds(one),
      make("p", { className: "meta", text: about(one) }),
      make("nav", { ariaLabel: "Neighbours" }, ...(place ? [step(`d${one.number}`, "↑", "Previous document")] : []), make("span", { className: "place", text: number(place + 1 + (chosen.page - 1) * PAGE) }), ...(isLast ? [] : [step(`d${one.number}`, "↓", "Next document")])),
    ));
    if (one.errors) made.append(problems(one));
    const texts = one.sides.map((marks) => textOf(one, marks, hits, units));
    if (texts.length > 1) made.append(make("div", { className: "sides" }, ...texts.map((text, i) => make("section", {}, make("h3", {}, isolated(meta.sides[i]), " ", make("span", { className: "count", text: number(one.sides[i].length) })), text))));
    else made.append(...texts);
    if (one.text.length > LONG && !unfolded.has(one.number)) made.append(make("button", { type: "button", className: "unfold", text: `Show all ${number(one.text.length)} characters` }));
    if (one.cut) made.append(make("p", { className: "quiet", text: `${number(one.cut)} more characters are not shown here.` }));
    if (one.unaligned) made.append(unaligned(one));
    for (const text of texts) text.querySelector("mark")?.setAttribute("tabindex", "0");
    return made;
  };
  const entry = (one) => {
    const state = meta.states[one.state || 0][0];
    const badge = state === meta.states[0][0] ? [] : [make("span", { className: `badge ${state.replaceAll(" ", "_")}`, text: state }), " "];
    return make("li", {}, make("a", { href: `#at=${one.number}`, data: { at: one.number } }, isolated(one.id, "id"), " ", ...badge, isolated(one.text.slice(0, 200).replace(BLANKS, " ").slice(0, 60), "opening")));
  };
  let drawing = 0;
  const draw = async (mine, numbers) => {
    const own = drawing += 1;
    document.documentElement.dataset.drawn = "";
    const parts = await Promise.all([...new Set(numbers.map(place))].map(async (chunk) => [chunk, await chunkOf(chunk)]));
    if (!mine() || own !== drawing) return;
    const chunks = new Map(parts);
    const documents = numbers.map((one) => ({ ...chunks.get(place(one))[one - starts[place(one)]], number: one }));
    $("articles").replaceChildren(...documents.map((one, i) => article(one, i, i === documents.length - 1)));
    $("entries").replaceChildren(...documents.map(entry));
    $("failure").hidden = true;
    tip.hidden = true;
    if (chosen.at) $(`d${chosen.at}`)?.scrollIntoView();
    document.documentElement.dataset.drawn = turn;
  };

  // ---- Counts, pages, filters.
  const pages = () => Math.max(1, Math.ceil(found.total / PAGE));
  const counts = () => {
    const first = (chosen.page - 1) * PAGE;
    const last = Math.min(found.total, first + PAGE);
    const range = found.total > PAGE ? `${number(first + 1)}–${number(last)} of ` : "";
    const fit = found.total === meta.documents ? "" : `${found.total === 1 ? " fits" : " fit"}, of ${number(meta.documents)}`;
    $("count").textContent = `${range}${plural(found.total, "document", "documents")}${fit}${found.done ? "" : ` so far, ${Math.floor(found.share * 100)} % searched`}`;
    $("nothing").hidden = found.total > 0 || !found.done;
    $("nothing").textContent = meta.documents ? "No document matches." : "No document to show.";
    document.documentElement.dataset.done = found.done ? turn : "";
    for (const nav of document.querySelectorAll(".pager")) pager(nav);
  };
  const pager = (nav) => {
    const to = (page, text, name) => make("button", { type: "button", text, ariaLabel: name, disabled: page < 1 || page > pages() || page === chosen.page, data: { page } });
    nav.hidden = pages() < 2;
    nav.replaceChildren(to(chosen.page - 1, "‹", "Previous page"), make("span", { className: "place", text: `page ${number(chosen.page)} of ${number(pages())}${found.done ? "" : " so far"}` }), to(chosen.page + 1, "›", "Next page"));
    if (pages() > 2) nav.prepend(to(1, "«", "First page"));
    if (pages() > 2) nav.append(to(pages(), "»", "Last page"));
  };
  const turnTo = (page) => {
    if (page < 1 || page > pages() || page === chosen.page) return;
    change({ page });
    scrollTo(0, wide.matches ? 0 : $("documents").offsetTop - 60);
  };
  const options = (select, none, rows, value) => {
    const known = rows.some(([name]) => name === value) || !value ? rows : [...rows, [value, 0]];
    select.replaceChildren(make("option", { value: "", text: none }), ...known.map(([name, count]) => make("option", { value: name, text: `${name} (${number(count)})`, selected: name === value })));
    select.hidden = select.previousElementSibling.hidden = known.length < 1;
  };
  const fields = () => {
    if (document.activeElement !== $("query")) $("query").value = chosen.query;
    options($("state"), "any", meta.states.filter(([, count]) => count), chosen.state);
    options($("code"), "any or none", meta.codes, chosen.code);
    $("score").value = chosen.score;
    $("least").textContent = chosen.score ? chosen.score.toFixed(2) : "any";
    document.querySelector(".slide").hidden = document.querySelector("[for=score]").hidden = !meta.scored || meta.kinds.length > 0;
    $("kinds").hidden = !meta.kinds.length;
    document.querySelector(".key").hidden = meta.kinds.length > 0;
    document.querySelector("[for=state]").textContent = meta.kinds.length ? "Documents" : "Status";
    const focused = document.activeElement?.dataset?.kind;
    $("kinds").replaceChildren($("kinds").firstElementChild, ...meta.kinds.map(([name, sign, count], i) => make("button", { type: "button", className: `k${i}`, ariaPressed: chosen.kinds.has(name), data: { kind: name } }, make("span", { className: "sign", text: sign || "=" }), ` ${name} `, make("span", { className: "count", text: number(count) }))));
    if (focused) document.querySelector(`[data-kind="${CSS.escape(focused)}"]`)?.focus();
    const ways = [chosen.query, chosen.state, chosen.code, chosen.score ? `score ≥ ${chosen.score.toFixed(2)}` : "", ...chosen.labels, ...chosen.kinds].filter(Boolean);
    $("chosen").textContent = ways.join(" · ");
    $("clear").hidden = !isFiltered() && !chosen.query;
    document.querySelector("[data-choose=all]").disabled = !chosen.hidden.size;
  };
  const legend = () => {
    const wanted = fold($("name").value.trim());
    const all = [...labels.values()].filter((label) => label.count || chosen.labels.has(label.name));
    const listed = all.filter((label) => chosen.labels.has(label.name) || fold(label.name).includes(wanted)).slice(0, MOST_LABELS);
    $("unfound").hidden = all.length > 0;
    $("name").hidden = all.length < 30;
    const focused = document.activeElement?.closest("#legend") && [document.activeElement.tagName, document.activeElement.closest("li").dataset.label];
    $("legend").replaceChildren(...listed.map((label) => make("li", { className: `c${label.colour}`, data: { label: label.name } },
      make("label", { title: `Mark ${label.name}` }, make("input", { type: "checkbox", checked: !chosen.hidden.has(label.name), ariaLabel: `Mark ${label.name}` }), make("span", { className: "swatch" })),
      make("button", { type: "button", ariaPressed: chosen.labels.has(label.name), title: `Only documents with ${label.name}` }, isolated(label.name, "name"), make("span", { className: "count", text: number(label.count) })))));
    if (focused) [...$("legend").children].find((item) => item.dataset.label === focused[1])?.querySelector(focused[0])?.focus();
  };
  const table = () => {
    $("compared").hidden = !meta.kinds.length || !labels.size;
    if ($("compared").hidden) return;
    const head = make("tr", {}, make("th", { text: "label" }), ...meta.kinds.map(([name, sign]) => make("th", { className: "number", text: `${sign} ${name}` })));
    $("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...[...labels.values()].filter((label) => label.count).map((label) => make("tr", {}, make("td", {}, isolated(label.name)),
      ...label.kinds.map((count, i) => make("td", { className: "number" }, count ? make("button", { type: "button", text: number(count), data: { label: label.name, kind: meta.kinds[i][0] }, title: `Show ${label.name}: ${meta.kinds[i][0]}` }) : "0"))))));
  };

  // ---- A run that grows.
  const learn = () => {
    starts = [];
    let first = 0;
    for (const size of meta.chunks) { starts.push(first); first += size; }
    labels = new Map(meta.labels.map(([name, colour, count, kinds]) => [name, { name, colour, count, kinds }]));
    folded = new Map();
    remembered = 0;
    blocks.clear();
    kept.clear();
    document.documentElement.classList.toggle("two", meta.kinds.length > 0);
    $("more").hidden = !meta.more;
    $("more").textContent = `These are the first ${number(meta.documents)} documents; there are more. Written to a folder, a page has all of them.`;
    for (const [name, value] of meta.summary || []) {
      const cell = [...document.querySelectorAll(".figures dt")].find((term) => term.textContent === name);
      if (cell) cell.nextElementSibling.textContent = value;
    }
    table();
  };
  const refresh = async () => {
    try {
      const now = await fromServer("meta", []);
      if (now.version === meta.version) return;
      meta = now;
      learn();
      show();
    } catch (error) {
      fail(error);
    }
  };
  if (meta.live) {
    setInterval(() => { if (!document.hidden) refresh(); }, POLL);
    addEventListener("focus", refresh);
  }

  // ---- What people do.
  let typing = 0;
  $("form").addEventListener("submit", (event) => event.preventDefault());
  $("query").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ query: $("query").value }, false), meta.chunks.length > 64 ? 200 : 0);
  });
  $("state").addEventListener("change", () => change({ state: $("state").value }));
  $("code").addEventListener("change", () => change({ code: $("code").value }));
  $("score").addEventListener("input", () => change({ score: Number($("score").value) }, false));
  $("form").addEventListener("reset", (event) => {
    event.preventDefault();
    $("query").value = "";
    change({ query: "", state: "", code: "", score: 0, labels: new Set(), kinds: new Set() });
  });
  const toggled = (set, value) => {
    const next = new Set(set);
    if (!next.delete(value)) next.add(value);
    return next;
  };
  $("kinds").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) change({ kinds: toggled(chosen.kinds, button.dataset.kind) });
  });
  $("table").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) change({ kinds: new Set([button.dataset.kind]), labels: new Set([button.dataset.label]) });
  });
  $("name").addEventListener("input", legend);
  $("legend").addEventListener("change", (event) => change({ hidden: toggled(chosen.hidden, event.target.closest("li").dataset.label), page: chosen.page }));
  $("legend").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) change({ labels: toggled(chosen.labels, button.closest("li").dataset.label) });
  });
  document.querySelector(".choose").addEventListener("click", (event) => {
    const choice = event.target.dataset.choose;
    if (choice) change({ hidden: new Set(choice === "all" ? [] : labels.keys()), page: chosen.page });
  });
  $("link").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    if (!navigator.clipboard) return prompt("The link to this page", location.href);  // on a host that is not this machine
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy link"; }, 1500);
  });
  const contents = document.querySelector(".contents details");
  contents.open = $("filters").open = wide.matches;
  const goTo = (shown) => {
    if (!shown) return;
    shown.scrollIntoView();
    shown.focus({ preventScroll: true });
  };
  const current = () => {
    const articles = [...$("articles").children];
    const at = articles.indexOf(document.activeElement?.closest("article"));
    return at >= 0 ? at : articles.findIndex((one) => one.getBoundingClientRect().bottom > 80) - (scrollY > 0 ? 0 : 1);
  };
  document.addEventListener("click", (event) => {
    const aim = event.target.closest("[data-at], [data-step], [data-page], .unfold, .skip");
    if (!aim || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (aim.matches(".skip")) $("documents").focus();
    else if (aim.matches(".unfold")) unfold(aim.closest("article"));
    else if (aim.dataset.page) turnTo(Number(aim.dataset.page));
    else if (aim.dataset.step) goTo(Number(aim.dataset.step) < 0 ? aim.closest("article").previousElementSibling : aim.closest("article").nextElementSibling);
    else {
      chosen.at = aim.dataset.at;
      write(true);
      goTo($(`d${chosen.at}`));
      contents.open = wide.matches;
    }
  });
  const unfold = (shown) => {
    unfolded.add(Number(shown.dataset.number));
    for (const text of shown.querySelectorAll(".text")) text.classList.add("open");
    shown.querySelector(".unfold")?.remove();
  };

  // ---- What is known of an entity: under the pointer, under the finger, or at the focus (arrow keys walk).
  const tip = $("tip");
  let pointed = null;
  const partsOf = (mark) => [...mark.closest(".text").querySelectorAll(`mark[data-e="${mark.dataset.e}"]`)];
  const partnersOf = (mark) => {
    const other = [...mark.closest("article").querySelectorAll(".text")].find((text) => !text.contains(mark));
    return other && mark.dataset.partner ? [...other.querySelectorAll(`mark[data-e="${mark.dataset.partner}"]`)] : [];
  };
  const describe = (mark) => {
    tip.replaceChildren();
    for (let at = mark; at && at.matches("mark"); at = at.parentElement.closest("mark")) {
      if (at.title) { at.dataset.tip = at.title; at.removeAttribute("title"); }
      tip.append(make("p", {}, isolated(partsOf(at).map((part) => part.textContent).join("")), make("br"), at.dataset.tip));
    }
  };
  const settle = () => {
    if (!pointed) return;
    const box = pointed.getClientRects()[0];
    if (!box) return point(null);
    const left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8));
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
  };
  const point = (mark) => {
    if (pointed === mark) return;
    for (const lit of document.querySelectorAll("mark.lit")) lit.classList.remove("lit");
    pointed = mark;
    tip.hidden = !mark;
    if (!mark) return;
    describe(mark);
    for (const partner of partnersOf(mark)) partner.classList.add("lit");
    settle();
  };
  const markAt = (target) => target instanceof Element ? target.closest("mark") : null;
  for (const kind of ["pointerover", "focusin", "click"]) document.addEventListener(kind, (event) => point(markAt(event.target)));
  addEventListener("scroll", settle, { passive: true });
  const walk = (event, mark) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const marks = [...mark.closest(".text").querySelectorAll("mark")];
    const next = marks[marks.indexOf(mark) + step];
    if (!next) return;
    event.preventDefault();
    if (mark.closest(".long:not(.open)")) unfold(mark.closest("article"));
    mark.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  const KEYS = {
    "/": () => { $("filters").open = true; $("query").focus(); $("query").select(); },
    j: () => goTo($("articles").children[current() + 1]),
    k: () => goTo($("articles").children[current() - 1]),
    n: () => turnTo(chosen.page + 1),
    p: () => turnTo(chosen.page - 1),
  };
  document.addEventListener("keydown", (event) => {
    const at = document.activeElement;
    if (event.key === "Escape") { point(null); if (at.matches("input")) at.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (at.closest("mark")) walk(event, at.closest("mark"));
    if (at.matches("input[type=search], select, textarea") || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  const restore = () => { chosen = read(); show(); };
  addEventListener("hashchange", restore);
  learn();
  restore();
  setTimeout(() => prepare().catch(() => {}), 300);
})();
