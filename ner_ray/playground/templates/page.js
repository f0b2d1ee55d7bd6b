"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const isolated = (text) => make("bdi", text);
  const copy = async (text, button) => {
    await navigator.clipboard.writeText(text);
    const name = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = name; }, 1500);
  };

  // The address holds what was typed, so that a link shows the same page.
  const encode = (text) => btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
  const decode = (code) => new TextDecoder().decode(Uint8Array.from(atob(code), (byte) => byte.codePointAt(0)));
  const stated = () => `#${encode(JSON.stringify([$("text").value, $("labels").value]))}`;
  const restore = () => {
    try {
      const [text, labels] = JSON.parse(decode(location.hash.slice(1)));
      $("text").value = text;
      $("labels").value = labels;
    } catch { /* an address without a state */ }
  };

  const tabs = [...document.querySelectorAll("[role=tab]")];
  const open = (tab) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", other === tab);
      $(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
  };
  document.querySelector("[role=tablist]").addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) open(tab);
  });
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    open(next);
  });

  const table = (heads, rows) => {
    const made = make("table");
    const head = made.createTHead().insertRow();
    for (const name of heads) head.append(make("th", name));
    const body = made.createTBody();
    for (const cells of rows) {
      const row = body.insertRow();
      for (const cell of cells) {
        const place = row.insertCell();
        if (typeof cell === "number") { place.className = "number"; place.textContent = cell; } else place.append(isolated(cell));
      }
    }
    const wide = make("div", undefined, "wide");
    wide.append(made);
    return wide;
  };
  const listed = (entity) => [entity.text, entity.label, `${entity.start}–${entity.end}`, entity.score === null ? "" : entity.score.toFixed(2), entity.status];

  const show = (answer) => {
    $("result").hidden = false;
    $("failure").hidden = !answer.failure;
    $("failure").textContent = answer.failure || "";
    if (answer.failure) return;
    $("marked").innerHTML = answer.html;  // all of a document in it is escaped
    $("legend").replaceChildren(...answer.labels.map((label) => {
      const item = make("li", undefined, `c${label.colour}`);
      item.append(make("span", undefined, "swatch"), isolated(label.name), make("span", label.count, "count"));
      return item;
    }));
    const lost = [
      ...answer.unaligned.map((mention) => [mention.text, mention.label, "does not stand in the text"]),
      ...answer.dropped.map((mention) => [mention.text, mention.label, "the model did not confirm it with a label"]),
      ...answer.errors.map((error) => [error.message, error.stage, error.code]),
    ];
    $("found").textContent = answer.entities.length;
    $("unplaced").textContent = lost.length;
    $("entities").replaceChildren(answer.entities.length ? table(["text", "label", "place", "score", "how found"], answer.entities.map(listed)) : make("p", "No entity was found.", "quiet"));
    $("lost").replaceChildren(lost.length ? table(["what", "label or stage", "why"], lost) : make("p", "Everything that the model named was found in the text.", "quiet"));
    if (!answer.final) return;
    const usage = answer.usage;
    const verdicts = Object.entries(answer.verdicts).filter(([, times]) => times).map(([verdict, times]) => `${times} ${verdict}`).join(", ");
    $("figures").textContent = `${answer.status} · ${verdicts} · ${answer.seconds.toFixed(2)} s · ${usage.requests} requests · ${usage.prompt_tokens} prompt tokens · ${usage.output_tokens} output tokens`;
    $("asked").replaceChildren(...answer.asked.flatMap((exchange) => [
      make("h3", `${exchange.role} is asked (chunk ${exchange.chunk + 1})`), make("pre", exchange.prompt),
      ...exchange.answers.flatMap((text) => [make("h3", `${exchange.role} answers${exchange.cut ? " (cut off)" : ""}`), make("pre", text)]),
    ]));
    for (const name of ["json", "python", "command"]) $(name).querySelector("pre").textContent = answer[name];
  };

  let asking = null;
  const ask = async () => {
    if (asking) asking.abort();
    const mine = asking = new AbortController();
    history.replaceState(null, "", stated());
    const began = performance.now();
    const clock = setInterval(() => { $("state").textContent = `${((performance.now() - began) / 1000).toFixed(1)} s …`; }, 100);
    try {
      const response = await fetch(`annotate${location.search}`, {
        method: "POST", signal: mine.signal, headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text: $("text").value, labels: $("labels").value }),
      });
      if (!response.ok) throw new Error(await response.text());
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", part; !(part = await reader.read()).done;) {
        const lines = (rest + part.value).split("\n");
        rest = lines.pop();
        for (const line of lines) show(JSON.parse(line));
      }
    } catch (error) {
      if (error.name !== "AbortError") show({ failure: `${error.message}. Is ner-ray try still running?` });
    } finally {
      clearInterval(clock);
      if (asking === mine) { asking = null; $("state").textContent = ""; }
    }
  };

  $("question").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask(); }
  });
  document.querySelector(".examples").addEventListener("click", (event) => {
    const example = event.target.closest("button");
    if (!example) return;
    $("text").value = example.dataset.text;
    ask();
  });
  $("link").addEventListener("click", (event) => {
    history.replaceState(null, "", stated());
    copy(location.href, event.target);
  });
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button.nextElementSibling.textContent, button));
  }
  addEventListener("hashchange", () => { restore(); ask(); });
  restore();
  if ($("text").value) ask();
})();
