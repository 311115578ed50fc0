// @ts-check
// A supervisor's tree, and the sequence of messages. Rows and pictures come ready from the kernel; clicks are sent back.

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {string} cls @param {string} [text] */
function make(tag, cls, text) {
  const el = document.createElement(tag);
  el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
}

/** @param {string} glyph @param {string} state @param {string} word */
function sign(glyph, state, word) {
  const el = document.createElementNS(SVG, "svg");
  for (const [k, v] of Object.entries({ viewBox: "0 0 16 16", class: "pf-dot", "data-state": state, role: "img", "aria-label": word })) el.setAttribute(k, v);
  const disc = document.createElementNS(SVG, "circle");
  for (const [k, v] of Object.entries({ cx: 8, cy: 8, r: 8, class: "pf-disc" })) disc.setAttribute(k, String(v));
  const path = document.createElementNS(SVG, "path");
  for (const [k, v] of Object.entries({ d: glyph || "", transform: "translate(2,2)", class: "pf-glyph" })) path.setAttribute(k, v);
  el.append(disc, path);
  return el;
}

/** Hide the static picture that stands beside the live view, for readers who have none. @param {HTMLElement} el @param {string} mark */
function hideStatic(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const area = child && child.parentElement;
  if (!area || !mark) return () => {};
  const isOurs = (/** @type {Element} */ other) => {
    const still = other.querySelector("[data-static]"), img = other.querySelector("img");
    return still ? still.getAttribute("data-static") === mark : !!img && img.src.startsWith("data:image/svg") && decodeURIComponent(img.src).includes(`data-static="${mark}"`);
  };
  const hide = () => {
    for (const other of area.children) if (other !== child && isOurs(other)) other.classList.add("pf-hidden-static");
    watcher.disconnect();   // never the whole area: this view changes often, and each change would be looked at
    watcher.observe(area, { childList: true });
    for (const other of area.children) if (other !== child) watcher.observe(other, { childList: true, subtree: true });
  };
  const watcher = new MutationObserver(hide);
  hide();
  return () => watcher.disconnect();
}

/** @param {any} model @param {HTMLElement} root */
function tree(model, root) {
  const send = (/** @type {object} */ message) => model.send(message);
  const bar = make("div", "pf-agents-bar");
  const title = make("span", "pf-agents-title");
  const facts = make("span", "pf-agents-facts");
  const find = /** @type {HTMLInputElement} */ (make("input", "pf-agents-find"));
  find.type = "search";
  find.placeholder = "Search children";
  find.setAttribute("aria-label", "Search children");
  const stop = make("button", "pf-agents-button pf-agents-stop", "Stop all");
  stop.addEventListener("click", () => send({ do: "stop" }));
  bar.append(title, facts, find, stop);
  const list = make("div", "pf-agents-tree");
  list.setAttribute("role", "tree");
  const detail = make("div", "pf-agents-detail");
  root.append(bar, list, detail);
  let typing = 0;
  find.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => send({ do: "filter", text: find.value }), 150);
  });
  /** @type {Map<string, HTMLElement>} */
  const lines = new Map();

  function drawHead() {
    const h = model.get("head");
    title.textContent = h.title;
    const zombies = h.zombies ? ` · ${h.zombies} zombie${h.zombies === 1 ? "" : "s"}` : "";
    facts.textContent = `${h.strategy} · ${h.alive ? `${h.children} child${h.children === 1 ? "" : "ren"}` : h.ended}${zombies}`;
    stop.hidden = !h.alive;
    root.setAttribute("aria-label", `Supervision tree of ${h.title}`);
  }

  function drawRows() {
    const seen = new Set();
    for (const row of model.get("rows")) {
      const [name, depth, id, status, kind, restarts, mailbox, handled, error, state, zombies, below, folded, stale, version] = row;
      seen.add(name);
      const stamp = JSON.stringify(row);
      let line = lines.get(name);
      if (line && line.dataset.stamp === stamp) { list.append(line); continue; }
      const focused = line ? line.querySelector("button:focus") : null;
      const act = focused ? focused.getAttribute("data-act") : null;
      const before = line ? Number(line.dataset.restarts) : restarts;
      if (!line) { line = make("div", "pf-agents-row"); lines.set(name, line); }
      line.dataset.stamp = stamp;
      line.dataset.restarts = String(restarts);
      line.dataset.child = id;
      line.dataset.status = status;
      line.setAttribute("role", "treeitem");
      line.setAttribute("aria-level", String(depth + 1));
      list.append(line);
      if (status === "more") { line.replaceChildren(make("div", "pf-agents-more", id)); continue; }
      const key = make("div", "pf-agents-key");
      key.style.paddingInlineStart = `${depth * 18}px`;
      const twist = make("button", "pf-agents-twist", below ? (folded ? "▸" : "▾") : "");
      twist.setAttribute("data-act", "fold");
      twist.setAttribute("aria-label", folded ? `Unfold ${id}` : `Fold ${id}`);
      twist.style.visibility = below ? "visible" : "hidden";    // keeps its room, so that names of one level stand below each other
      twist.addEventListener("click", () => send({ do: "fold", name }));
      const label = make("button", "pf-agents-name", id);
      label.setAttribute("data-act", "choose");
      label.title = "State and last messages";
      label.addEventListener("click", () => send({ do: "choose", name }));
      key.append(twist, sign(model.get("signs")[state], state, status), label);
      const marks = make("div", "pf-agents-marks");
      if (stale) marks.append(make("span", "pf-agents-mark pf-agents-old", "old code"));
      if (zombies) marks.append(make("span", "pf-agents-mark pf-agents-zombie", "zombie"));
      if (version > 1 && !below) marks.append(make("span", "pf-agents-mark", `code v${version}`));
      const numbers = make("div", "pf-agents-numbers", below ? "" : `${handled} handled · ${mailbox} waiting`);
      const again = make("div", "pf-agents-restarts", restarts ? `${restarts} restart${restarts === 1 ? "" : "s"}` : "");
      const buttons = make("div", "pf-agents-buttons");
      for (const [word, does] of [["Kill", "kill"], ["Restart", "restart"]]) {
        const button = /** @type {HTMLButtonElement} */ (make("button", "pf-agents-button", word));
        button.setAttribute("data-act", does);
        button.setAttribute("aria-label", `${word} ${id}`);
        button.disabled = does === "kill" && status !== "running";
        button.addEventListener("click", () => send({ do: does, name }));
        buttons.append(button);
      }
      line.replaceChildren(key, make("div", "pf-agents-kind", `${kind} · ${status}`), numbers, again, marks, buttons);
      if (error) line.append(make("div", "pf-agents-error", error));
      if (restarts > before) { line.classList.remove("pf-agents-fresh"); void line.offsetWidth; line.classList.add("pf-agents-fresh"); }
      if (act) { const button = /** @type {HTMLElement | null} */ (line.querySelector(`[data-act="${act}"]`)); if (button) button.focus(); }
    }
    for (const [name, line] of lines) if (!seen.has(name)) { line.remove(); lines.delete(name); }
    if (!seen.size && !list.querySelector(".pf-agents-empty")) list.append(make("div", "pf-agents-empty", "No children."));
    else if (seen.size) { const empty = list.querySelector(".pf-agents-empty"); if (empty) empty.remove(); }
  }

  function drawDetail() {
    const d = model.get("detail");
    detail.hidden = !d.name;
    if (!d.name) return;
    const parts = [make("div", "pf-agents-path", `State of ${d.name.slice(1)}`), make("pre", "pf-agents-text", d.text)];
    if (d.changes && d.changes.length) parts.push(make("div", "pf-agents-path", "Last change"), make("pre", "pf-agents-text", d.changes.join("\n")));
    if (d.messages && d.messages.length) parts.push(make("div", "pf-agents-path", "Last messages"), make("pre", "pf-agents-text", d.messages.join("\n")));
    detail.replaceChildren(...parts);
  }

  drawHead();
  drawRows();
  drawDetail();
  return { "change:head": drawHead, "change:rows": drawRows, "change:detail": drawDetail };
}

/** @param {any} model @param {HTMLElement} root */
function sequence(model, root) {
  const bar = make("div", "pf-agents-bar");
  const title = make("span", "pf-agents-title", "Messages");
  const facts = make("span", "pf-agents-facts");
  const choose = /** @type {HTMLSelectElement} */ (make("select", "pf-agents-find"));
  choose.setAttribute("aria-label", "Show one kind of message");
  choose.addEventListener("change", () => model.send({ do: "kind", kind: choose.value }));
  bar.append(title, facts, choose);
  const picture = make("div", "pf-agents-picture");
  picture.tabIndex = 0;
  root.append(bar, picture);
  root.setAttribute("aria-label", "Sequence of messages");

  function drawHead() {
    const h = model.get("head");
    facts.textContent = `${h.events} event${h.events === 1 ? "" : "s"}`;
    const kinds = ["", ...h.kinds];
    if ([...choose.options].map((o) => o.value).join() === kinds.join()) return;
    choose.replaceChildren(...kinds.map((kind) => {
      const option = /** @type {HTMLOptionElement} */ (make("option", "", kind || "every kind"));
      option.value = kind;
      option.selected = kind === h.kind;
      return option;
    }));
  }

  function drawPicture() {
    const parsed = new DOMParser().parseFromString(model.get("picture"), "image/svg+xml").documentElement;
    const follows = picture.scrollTop + picture.clientHeight >= picture.scrollHeight - 12;
    picture.replaceChildren(document.importNode(parsed, true));
    if (follows) picture.scrollTop = picture.scrollHeight;
  }

  drawHead();
  drawPicture();
  return { "change:head": drawHead, "change:picture": drawPicture };
}

/** @param {{model: any, el: HTMLElement}} props */
function render({ model, el }) {
  const root = make("div", "pf-agents");
  root.setAttribute("role", "group");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  // Lab looks at the focused element first, so each carries the mark, not the root alone
  root.addEventListener("focusin", (event) => /** @type {Element} */ (event.target).setAttribute("data-lm-suppress-shortcuts", "true"));
  el.append(root);
  const handlers = model.get("kind") === "tree" ? tree(model, root) : sequence(model, root);
  for (const [event, draw] of Object.entries(handlers)) model.on(event, draw);
  let unhide = () => {};
  const later = setTimeout(() => { unhide = hideStatic(el, model.get("static")); }, 0);
  return () => {
    clearTimeout(later);
    unhide();
    for (const [event, draw] of Object.entries(handlers)) model.off(event, draw);
  };
}

export default { render };
