// @ts-check
// The shared store as a tree. Rows come ready from the kernel; clicks are sent back.

/** @param {string} tag @param {string} cls @param {string} [text] */
function make(tag, cls, text) {
  const el = document.createElement(tag);
  el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
}

/** @param {HTMLElement} el @param {string} mark */
function hideStatic(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const area = child && child.parentElement;
  if (!area || !mark) return () => {};
  const hide = () => {
    for (const other of area.children) {
      const still = other !== child && other.querySelector("[data-static]");
      if (still && still.getAttribute("data-static") === mark) other.classList.add("pf-hidden-static");
    }
  };
  hide();
  const watcher = new MutationObserver(hide);
  watcher.observe(area, { childList: true, subtree: true });
  return () => watcher.disconnect();
}

/** @param {{model: any, el: HTMLElement}} props */
function render({ model, el }) {
  const root = make("div", "pf-store");
  root.setAttribute("role", "group");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  const bar = make("div", "pf-store-bar");
  const title = make("span", "pf-store-title");
  const facts = make("span", "pf-store-facts");
  const find = /** @type {HTMLInputElement} */ (make("input", "pf-store-find"));
  find.type = "search";
  find.placeholder = "Filter keys and values";
  find.setAttribute("aria-label", "Filter keys and values");
  bar.append(title, facts, find);
  const tree = make("div", "pf-store-tree");
  tree.setAttribute("role", "tree");
  tree.tabIndex = 0;
  const detail = make("div", "pf-store-detail");
  root.append(bar, tree, detail);
  el.append(root);

  const send = (/** @type {object} */ message) => model.send(message);
  /** @type {Map<string, [string, number | null]>} */
  const before = new Map();
  let at = 0;

  function drawHead() {
    const head = model.get("head");
    title.textContent = head.title;
    const version = head.version === null || head.version === undefined ? "" : ` · version ${head.version}`;
    facts.textContent = `${head.keys} key${head.keys === 1 ? "" : "s"}${version}`;
    root.setAttribute("aria-label", `Store of ${head.title}`);
  }

  function drawRows() {
    const rows = model.get("rows");
    at = Math.min(at, Math.max(rows.length - 1, 0));
    const parents = [];
    const lines = rows.map((/** @type {any[]} */ row, /** @type {number} */ k) => {
      const [id, depth, name, kind, text, children, open, version, writer] = row;
      parents.length = depth;
      parents[depth] = name;
      const line = make("div", "pf-store-row");
      line.setAttribute("role", "treeitem");
      line.setAttribute("aria-level", String(depth + 1));
      line.tabIndex = -1;
      if (k === at) line.dataset.at = "true";
      const key = make("div", "pf-store-key");
      key.style.paddingInlineStart = `${depth * 16}px`;
      if (kind === "more") {
        const more = make("button", "pf-store-more", text);
        more.addEventListener("click", () => send({ do: "more", row: id }));
        key.append(more);
        line.append(key);
        return line;
      }
      const twist = make("button", "pf-store-twist", children ? (open ? "▾" : "▸") : "");
      twist.tabIndex = -1;
      twist.setAttribute("aria-hidden", "true");
      if (children) {
        line.setAttribute("aria-expanded", String(open));
        twist.addEventListener("click", (event) => { event.stopPropagation(); send({ do: "toggle", row: id }); });
      } else twist.disabled = true;
      key.append(twist, make("span", "pf-store-name", name));
      line.append(key, make("div", "pf-store-value", text), make("div", "pf-store-type", kind));
      line.append(make("div", "pf-store-writer", writer || ""), make("div", "pf-store-version", version === null ? "" : `v${version}`));
      const place = parents.slice(0, depth + 1).join("\u0000");
      const last = before.get(place);
      if (last && (last[0] !== text || last[1] !== version)) line.classList.add("pf-store-changed");
      before.set(place, [text, version]);
      line.addEventListener("click", () => { at = k; send({ do: "choose", row: id }); });
      return line;
    });
    if (!rows.length) lines.push(make("div", "pf-store-empty", model.get("head").filter ? "Nothing fits the filter." : "The store is empty."));
    tree.replaceChildren(...lines);
  }

  function drawDetail() {
    const d = model.get("detail");
    detail.hidden = !d.path;
    if (!d.path) return;
    const head = make("div", "pf-store-path");
    head.append(make("strong", "", d.path), make("span", "pf-store-type", d.gone ? "not there any more" : d.type));
    detail.replaceChildren(head);
    if (d.gone) return;
    detail.append(make("pre", "pf-store-text", d.text));
    if (d.history.length) {
      const list = make("ol", "pf-store-history");
      list.setAttribute("aria-label", "History, newest first");
      list.append(...d.history.map((/** @type {string} */ text) => make("li", "", text)));
      detail.append(list);
    }
  }

  tree.addEventListener("keydown", (event) => {
    const rows = model.get("rows");
    const row = rows[at];
    if (!row) return;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      at = Math.max(0, Math.min(rows.length - 1, at + moves[event.key]));
      [...tree.children].forEach((line, k) => { if (k === at) { line.dataset.at = "true"; line.scrollIntoView({ block: "nearest" }); } else delete line.dataset.at; });
    } else if (event.key === "ArrowRight" && row[5] && !row[6]) send({ do: "toggle", row: row[0] });
    else if (event.key === "ArrowLeft" && row[6]) send({ do: "toggle", row: row[0] });
    else if (event.key === "Enter" || event.key === " ") send({ do: row[3] === "more" ? "more" : "choose", row: row[0] });
    else if (event.key === "/") find.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  let typing = 0;
  find.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => send({ do: "filter", text: find.value }), 150);
  });

  const handlers = { "change:head": drawHead, "change:rows": drawRows, "change:detail": drawDetail };
  for (const [event, draw] of Object.entries(handlers)) model.on(event, draw);
  let unhide = () => {};
  const later = setTimeout(() => { unhide = hideStatic(el, model.get("static")); }, 0);
  drawHead();
  drawRows();
  drawDetail();
  return () => {
    clearTimeout(typing);
    clearTimeout(later);
    unhide();
    for (const [event, draw] of Object.entries(handlers)) model.off(event, draw);
  };
}

export default { render };
