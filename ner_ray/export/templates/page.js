"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const $ = (id) => document.getElementById(id);
  const wide = matchMedia("(min-width: 60rem)");
  const contents = document.querySelector(".contents details");
  contents.open = wide.matches;

  // Labels: one style rule hides all marks of a label, however many there are.
  const sheet = document.styleSheets[0];
  const own = sheet.cssRules.length;
  const boxes = [...document.querySelectorAll(".legend input")];
  const filter = () => {
    while (sheet.cssRules.length > own) sheet.deleteRule(own);
    const off = boxes.filter((box) => !box.checked).map((box) => `[data-k="${box.dataset.k}"]`).join();
    if (!off) return;
    sheet.insertRule(`mark:is(${off}) { all: unset !important }`, own);
    sheet.insertRule(`mark:is(${off})::after { content: none !important }`, own);
  };
  document.querySelector(".legend").addEventListener("change", filter);
  document.querySelector(".choose").addEventListener("click", (event) => {
    const choice = event.target.dataset.choose;
    if (!choice) return;
    for (const box of boxes) box.checked = choice === "all";
    filter();
  });

  // Documents: found by id or text, or by having problems.
  const articles = [...document.querySelectorAll("main > article")];
  const entries = [...document.querySelectorAll(".contents li")];
  const fold = (text) => text.normalize("NFKC").toLowerCase();
  let texts = null;
  const find = () => {
    texts = texts || articles.map((article) => fold(article.textContent));
    const wanted = fold($("find").value.trim());
    let found = 0;
    articles.forEach((article, i) => {
      const hit = texts[i].includes(wanted) && (!$("flawed").checked || article.classList.contains("flawed"));
      article.hidden = entries[i].hidden = !hit;
      found += hit;
    });
    $("matching").textContent = found === articles.length ? found : `${found} of ${articles.length}`;
    $("nothing").hidden = found > 0 || !articles.length;
  };
  $("find").addEventListener("input", find);
  $("flawed").addEventListener("change", find);
  document.querySelector(".contents ol").addEventListener("click", () => { contents.open = wide.matches; });

  // Long documents are folded until asked for.
  const unfold = (text) => {
    text.classList.add("open");
    text.nextElementSibling.remove();
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".unfold");
    if (!button) return;
    unfold(button.previousElementSibling);
  });

  // What is known of an entity: under the pointer, under the finger, or at the focus (arrow keys walk).
  const tip = $("tip");
  let shown = null;
  const describe = (mark) => {
    tip.replaceChildren();
    for (let at = mark; at && at.matches("mark"); at = at.parentElement.closest("mark")) {
      const line = document.createElement("p");
      const name = document.createElement("bdi");
      name.textContent = [...at.closest(".text").querySelectorAll(`mark[data-e="${at.dataset.e}"]`)].map((part) => part.textContent).join("");
      line.append(name, document.createElement("br"), at.dataset.tip || at.title);
      if (at.title) { at.dataset.tip = at.title; at.removeAttribute("title"); }
      tip.append(line);
    }
  };
  const place = () => {
    if (!shown) return;
    const box = shown.getClientRects()[0];
    const left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8));
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
  };
  const show = (mark) => {
    if (shown === mark) return;
    shown = mark;
    tip.hidden = !mark;
    if (mark) describe(mark);
    place();
  };
  const visible = (target) => {
    const mark = target instanceof Element ? target.closest("mark") : null;
    return mark && boxes.some((box) => box.checked && box.dataset.k === mark.dataset.k) ? mark : null;
  };
  for (const kind of ["pointerover", "focusin", "click"]) document.addEventListener(kind, (event) => show(visible(event.target)));
  addEventListener("scroll", place, { passive: true });
  for (const article of articles) article.querySelector("mark")?.setAttribute("tabindex", "0");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return show(null);
    const mark = document.activeElement.closest("mark");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!mark || !step) return;
    const marks = [...mark.closest(".text").querySelectorAll("mark")].filter(visible);
    const next = marks[marks.indexOf(mark) + step];
    if (!next) return;
    event.preventDefault();
    const folded = mark.closest(".long:not(.open)");
    if (folded) unfold(folded);
    mark.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
})();
