// @ts-check
// A supervisor's children as a tree, with what is wrong and two buttons each; state and last messages of the chosen one below.

import { counted, make, makeButton, setAttributes } from "../base/js/dom.js";
import { reached } from "../base/js/roving.js";
import { onTyped, searchField } from "../base/js/search_field.js";
import { sign } from "../base/js/status.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** A child as the kernel writes it: name, depth, id, status, kind, restarts, mailbox, handled, error, state, zombies, has children, is folded,
 *  has old code, version of its code.
 *  @typedef {[string, number, string, string, string, number, number, number, string, string, number, boolean, boolean, boolean, number]} Row */

/** Fill `root` and give what draws it again, by event.
 *  @param {Model} model @param {HTMLElement} root @returns {Record<string, () => void>} */
export function showTree(model, root) {
  const send = (/** @type {object} */ message) => model.send(message);
  const { bar, title, facts, stop } = barOf(send);
  const list = make("div", "pf-agents-tree");
  setAttributes(list, { role: "tree", "aria-label": "Children" });
  list.addEventListener("keydown", (event) => walkRows(event, list, model.get("rows"), send));
  const detail = make("div", "pf-agents-detail");
  root.append(bar, list, detail);
  const empty = make("div", "pf-agents-empty", "No children.");
  /** @type {Map<string, HTMLElement>} */
  const lines = new Map();

  function drawHead() {
    const head = model.get("head");
    title.textContent = head.title;
    const zombies = head.zombies ? ` · ${counted(head.zombies, "zombie")}` : "";
    facts.textContent = `${head.strategy} · ${head.alive ? counted(head.children, "child", "children") : head.ended}${zombies}`;
    stop.hidden = !head.alive;
    root.setAttribute("aria-label", `Supervision tree of ${head.title}`);
  }

  function drawRows() {
    /** @type {Row[]} */
    const rows = model.get("rows");
    const names = new Set(rows.map(([name]) => name));
    for (const [name, line] of lines) {
      if (names.has(name)) continue;
      line.remove();
      lines.delete(name);
    }
    empty.remove();
    for (const [k, row] of rows.entries()) drawRow(row, k);
    enter(list, /** @type {HTMLElement | null} */ (list.querySelector("[role=treeitem][tabindex='0']")) ?? list.firstElementChild);
    if (!rows.length) list.append(empty);
  }

  /** @param {Row} row @param {number} k */
  function drawRow(row, k) {
    const [name, , , , , restarts] = row;
    const stamp = JSON.stringify(row);
    const line = lines.get(name) ?? make("div", "pf-agents-row");
    const act = line.querySelector("button:focus")?.getAttribute("data-act");
    if (list.children[k] !== line) list.insertBefore(line, list.children[k] ?? null);   // moving a row would take its focus
    if (line.dataset.stamp === stamp) return;
    const before = lines.has(name) ? Number(line.dataset.restarts) : restarts;
    lines.set(name, line);
    line.dataset.stamp = stamp;
    fillRow(line, row, model.get("icons"), send);
    if (restarts > before) flash(line);
    if (act) /** @type {HTMLElement | null} */ (line.querySelector(`[data-act="${act}"]`))?.focus();
  }

  function drawDetail() {
    const { name, text, changes, messages } = model.get("detail");
    detail.hidden = !name;
    if (!name) return;
    const parts = [make("div", "pf-agents-path", `State of ${name.slice(1)}`), make("pre", "pf-agents-text", text)];
    for (const [over, said] of [["Last change", changes], ["Last messages", messages]]) {
      if (said?.length) parts.push(make("div", "pf-agents-path", over), make("pre", "pf-agents-text", said.join("\n")));
    }
    detail.replaceChildren(...parts);
  }

  drawHead();
  drawRows();
  drawDetail();
  return { "change:head": drawHead, "change:rows": drawRows, "change:detail": drawDetail };
}

/** @param {(message: object) => void} send */
function barOf(send) {
  const bar = make("div", "pf-agents-bar"), title = make("span", "pf-agents-title"), facts = make("span", "pf-agents-facts");
  const find = searchField("pf-agents-find", "Search children");
  onTyped(find, (text) => send({ do: "filter", text }));
  const stop = makeButton("Stop all", "pf-agents-button pf-agents-stop", () => send({ do: "stop" }));
  bar.append(title, facts, find, stop);
  return { bar, title, facts, stop };
}

/** Arrow keys go from row to row and fold; Enter chooses. Right of a row that has nothing to unfold stand its buttons, which Tab passes over.
 *  @param {KeyboardEvent} event @param {HTMLElement} list @param {Row[]} rows @param {(message: object) => void} send */
function walkRows(event, list, rows, send) {
  const lines = [...list.children], target = /** @type {HTMLElement} */ (event.target), here = lines.findIndex((line) => line.contains(target));
  if (here < 0 || !rows[here]) return;
  const isOnRow = target === lines[here], to = reached(event.key, here, lines.length, "column");
  const message = isOnRow ? messageOf(event.key, rows[here]) : null, beside = message ? null : besideIn(lines[here], target, event.key);
  const above = message || beside || event.key !== "ArrowLeft" ? -1 : parentOf(rows, here);
  if (to !== undefined || above >= 0) enter(list, lines[to ?? above])?.focus();
  else if (beside) beside.focus();
  else if (message) send(message);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** The row of a child's supervisor, or -1. @param {Row[]} rows @param {number} here */
function parentOf(rows, here) {
  let above = here - 1;
  while (above >= 0 && rows[above][1] >= rows[here][1]) above -= 1;
  return above;
}

/** The button of a row, or the row itself, that Left and Right lead to. @param {Element} line @param {Element} target @param {string} key */
function besideIn(line, target, key) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (!step) return null;
  const stops = [line, ...line.querySelectorAll(".pf-agents-buttons button:not(:disabled)")];
  return /** @type {HTMLElement | undefined} */ (stops[Math.max(stops.indexOf(target), 0) + step]) ?? null;
}

/** What a key at a row says to the kernel. @param {string} key @param {Row} row */
export function messageOf(key, [name, , , status, , , , , , , , below, folded]) {
  if (status === "more") return null;
  if (below && key === (folded ? "ArrowRight" : "ArrowLeft")) return { do: "fold", name };
  return key === "Enter" || key === " " ? { do: "choose", name } : null;
}

/** Make a row the one that Tab reaches. @param {HTMLElement} list @param {Element | null} line @returns {HTMLElement | null} */
function enter(list, line) {
  for (const other of /** @type {HTMLElement[]} */ ([...list.children])) other.tabIndex = other === line ? 0 : -1;
  return /** @type {HTMLElement | null} */ (line);
}

/** @param {HTMLElement} line @param {Row} row @param {Record<string, string>} glyphs @param {(message: object) => void} send */
function fillRow(line, row, glyphs, send) {
  const [name, depth, id, status, kind, restarts, mailbox, handled, error, , , below, folded] = row;
  Object.assign(line.dataset, { restarts: String(restarts), child: id, status });
  setAttributes(line, { role: "treeitem", "aria-level": depth + 1 });
  if (status === "more") {
    line.replaceChildren(make("div", "pf-agents-more", id));
    return;
  }
  if (below) line.setAttribute("aria-expanded", String(!folded));
  else line.removeAttribute("aria-expanded");
  const buttons = make("div", "pf-agents-buttons");
  for (const [word, does] of [["Kill", "kill"], ["Restart", "restart"]]) {
    const button = makeButton(word, "pf-agents-button", () => send({ do: does, name }));
    setAttributes(button, { "data-act": does, "aria-label": `${word} ${id}` });
    button.disabled = does === "kill" && status !== "running";
    buttons.append(button);
  }
  line.replaceChildren(
    keyOf(row, glyphs, send),
    make("div", "pf-agents-kind", `${kind} · ${status}`),
    make("div", "pf-agents-numbers", below ? "" : `${handled} handled · ${mailbox} waiting`),
    make("div", "pf-agents-restarts", restarts ? counted(restarts, "restart") : ""),
    marksOf(row),
    buttons,
  );
  if (error) line.append(make("div", "pf-agents-error", error));
  for (const button of line.querySelectorAll("button")) button.tabIndex = -1;    // the row is the stop of Tab
}

/** What folds, the state and the name. @param {Row} row @param {Record<string, string>} glyphs @param {(message: object) => void} send */
function keyOf([name, depth, id, status, , , , , , state, , below, folded], glyphs, send) {
  const key = make("div", "pf-agents-key");
  key.style.paddingInlineStart = `${depth * 18}px`;
  const twist = makeButton(below ? (folded ? "▸" : "▾") : "", "pf-agents-twist", () => send({ do: "fold", name }));
  setAttributes(twist, { "data-act": "fold", "aria-label": folded ? `Unfold ${id}` : `Fold ${id}` });
  twist.style.visibility = below ? "visible" : "hidden";    // keeps its room, so that names of one level stand below each other
  const label = makeButton(id, "pf-agents-name", () => send({ do: "choose", name }), "State and last messages");
  label.setAttribute("data-act", "choose");
  key.append(twist, sign(glyphs, state, { label: status }), label);
  return key;
}

/** @param {Row} row */
function marksOf([, , , , , , , , , , zombies, below, , stale, version]) {
  const marks = make("div", "pf-agents-marks");
  if (stale) marks.append(make("span", "pf-agents-mark pf-agents-old", "old code"));
  if (zombies) marks.append(make("span", "pf-agents-mark pf-agents-zombie", "zombie"));
  if (version > 1 && !below) marks.append(make("span", "pf-agents-mark", `code v${version}`));
  return marks;
}

/** Show for a moment that something happened to this row. @param {HTMLElement} line */
function flash(line) {
  line.classList.remove("pf-agents-fresh");
  void line.offsetWidth;    // a pending layout, so that the animation begins anew
  line.classList.add("pf-agents-fresh");
}
