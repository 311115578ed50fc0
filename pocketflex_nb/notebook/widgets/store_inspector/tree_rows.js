// @ts-check
// The store's keys and values as rows of a tree.

import { make, makeButton, setAttributes } from "../base/js/dom.js";
import { reached } from "../base/js/roving.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** A row as the kernel writes it: id, depth, name, kind, text, whether it has children, whether it is open, version, writer, sign of a change.
 *  @typedef {[number, number, string, string, string, boolean, boolean, number | null, string, string]} Row */

/** @type {Record<string, string>} */
const SIGNS = { "+": "new", "~": "changed", "-": "gone" };

/** @param {Model} model @param {string} id prefix of the rows' ids */
export function treeOf(model, id) {
  const el = make("div", "pf-store-tree");
  setAttributes(el, { role: "tree", "aria-label": "Keys and values" });
  el.tabIndex = 0;
  const send = (/** @type {object} */ message) => model.send(message);
  /** @type {Map<string, [string, number | null]>} text and version of each row when it was last drawn, by its path */
  const before = new Map();
  let at = 0;

  function draw() {
    /** @type {Row[]} */
    const rows = model.get("rows");
    at = Math.min(at, Math.max(rows.length - 1, 0));
    /** @type {string[]} */
    const parents = [];
    const lines = rows.map((row, k) => {
      const [, depth, name, kind, text, , , version] = row;
      parents.length = depth;
      parents[depth] = name;
      const line = lineOf(row, send);
      if (k === at) line.dataset.at = "true";
      if (kind === "more") return line;
      line.addEventListener("click", () => {
        at = k;
        send({ do: "choose", row: row[0] });
      });
      const place = parents.slice(0, depth + 1).join("\u0000"), last = before.get(place);
      if (last && (last[0] !== text || last[1] !== version)) line.classList.add("pf-store-changed");
      before.set(place, [text, version]);
      return line;
    });
    if (!rows.length) lines.push(make("div", "pf-store-empty", emptyText(model.get("head"))));
    el.replaceChildren(...lines);
    mark();
  }

  /** Show which row is told about at the side. */
  function mark() {
    const chosen = model.get("detail").row;
    for (const [k, line] of [...el.children].entries()) {
      line.id = `${id}-${k}`;
      line.setAttribute("aria-selected", String(k === chosen));
    }
    el.setAttribute("aria-activedescendant", `${id}-${at}`);
  }

  /** @param {number} k */
  function goTo(k) {
    at = k;
    for (const line of /** @type {HTMLElement[]} */ ([...el.children])) delete line.dataset.at;
    const line = /** @type {HTMLElement} */ (el.children[k]);
    line.dataset.at = "true";
    line.scrollIntoView({ block: "nearest" });
    el.setAttribute("aria-activedescendant", `${id}-${at}`);
  }

  el.addEventListener("keydown", (event) => {
    /** @type {Row[]} */
    const rows = model.get("rows");
    if (!rows[at]) return;
    const to = walked(event.key, at, rows.length), message = messageOf(event.key, rows[at]);
    if (to !== undefined) goTo(to);
    else if (message) send(message);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return { el, draw, mark };
}

/** The row that a key leads to; no further than the ends. @param {string} key @param {number} at @param {number} count */
export function walked(key, at, count) {
  const isPastEnd = (key === "ArrowUp" && at === 0) || (key === "ArrowDown" && at === count - 1);
  return isPastEnd ? at : reached(key, at, count, "column");
}

/** What a key at a row says to the kernel. @param {string} key @param {Row} row */
export function messageOf(key, [id, , , kind, , hasChildren, isOpen]) {
  if (key === "ArrowRight" && hasChildren && !isOpen) return { do: "toggle", row: id };
  if (key === "ArrowLeft" && isOpen) return { do: "toggle", row: id };
  if (key === "Enter" || key === " ") return { do: kind === "more" ? "more" : "choose", row: id };
  return null;
}

/** @param {Row} row @param {(message: object) => void} send */
function lineOf([id, depth, name, kind, text, hasChildren, isOpen, version, writer, sign], send) {
  const line = make("div", "pf-store-row"), key = make("div", "pf-store-key");
  setAttributes(line, { role: "treeitem", "aria-level": depth + 1 });
  line.tabIndex = -1;
  key.style.paddingInlineStart = `${depth * 16}px`;
  line.append(key);
  if (kind === "more") {
    key.append(makeButton(text, "pf-store-more", () => send({ do: "more", row: id })));
    return line;
  }
  if (hasChildren) line.setAttribute("aria-expanded", String(isOpen));
  key.append(twistOf(hasChildren, isOpen, () => send({ do: "toggle", row: id })), make("span", "pf-store-name", name));
  if (sign) {
    line.dataset.sign = sign;
    const mark = make("span", "pf-store-sign", sign);
    mark.setAttribute("aria-label", SIGNS[sign] ?? sign);
    key.append(mark);
  }
  const who = make("div", "pf-store-writer", writer || "");
  who.title = writer || "";   // run, node, host and process may be longer than the column
  const numbered = make("div", "pf-store-version", version === null ? "" : `v${version}`);
  line.append(make("div", "pf-store-value", text), make("div", "pf-store-type", kind), who, numbered);
  return line;
}

/** @param {boolean} hasChildren @param {boolean} isOpen @param {() => void} toggle */
function twistOf(hasChildren, isOpen, toggle) {
  const twist = makeButton(hasChildren ? (isOpen ? "▾" : "▸") : "", "pf-store-twist");
  twist.tabIndex = -1;
  twist.setAttribute("aria-hidden", "true");
  twist.disabled = !hasChildren;
  twist.addEventListener("click", (event) => {
    event.stopPropagation();
    toggle();
  });
  return twist;
}

/** @param {{ filter: string, changed: boolean }} head */
function emptyText({ filter, changed }) {
  if (filter) return "Nothing fits the filter.";
  return changed ? "Nothing differs." : "The store is empty.";
}
