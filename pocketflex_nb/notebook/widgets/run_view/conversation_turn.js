// @ts-check
// One turn of a conversation: who spoke, what was said, and what tools were called with what result, each folded to a line.

import { focusIn, make, makeButton, setAttributes } from "../base/js/dom.js";
import { markdownOf } from "../base/js/markdown_view.js";

/** @typedef {import("../base/js/markdown_view.js").MarkdownNode} MarkdownNode */
/** Head, outcome, status and time of a call. @typedef {[string, string, string, string]} CallRow */
/** @typedef {{
 *   key: string, side: string, role: string, where: string, text: string, facts: string, state?: string, size?: number, run?: string, calls?: CallRow[],
 *   tree?: MarkdownNode[], visit?: [number, string],
 * }} Turn */
/** What is shown in full, by the key of a turn, its text and tree, or of a call in it. @typedef {Record<string, [string, any?]>} Opened */
/** @typedef {{ el: HTMLElement, told: unknown[] }} MadeTurn */
/** What a turn asks for: something in full, or its visit. @typedef {{ open: (key: string) => void, look: (row: Turn) => void }} Acts */

/** @type {Record<string, string>} */
const TURN_STATES = { streaming: "streaming", partial: "cut off" };

/** @param {MadeTurn | undefined} before @param {Turn} row @param {Opened} opened @param {{ at: number, of: number }} place @param {Acts} acts
 *  @returns {MadeTurn} the same where nothing of it changed */
export function drawTurn(before, row, opened, place, acts) {
  const mine = Object.keys(opened).filter((key) => key === row.key || key.startsWith(`${row.key}:`));
  const told = [row, place.at, place.of, ...mine.map((key) => opened[key])];
  if (before && told.length === before.told.length && told.every((each, k) => each === before.told[k])) return before;
  const el = before?.el ?? make("article", "pf-turn");
  if (!before) el.tabIndex = -1;
  el.dataset.side = row.side;
  el.dataset.state = row.state ?? "";
  setAttributes(el, { "aria-posinset": place.at + 1, "aria-setsize": place.of, "aria-label": labelOf(row), "aria-busy": row.state === "streaming" });
  putInside(el, turnParts(row, opened, acts));
  return { el, told };
}

/** Put new parts into a turn; the button that had the focus, or was the stop of Tab, is so again. @param {HTMLElement} el @param {HTMLElement[]} parts */
function putInside(el, parts) {
  const held = /** @type {HTMLElement | null} */ (focusIn(el)), focus = held && el.contains(held) ? held.dataset.open : undefined;
  const stop = [...el.querySelectorAll("button")].find((button) => button.tabIndex === 0)?.dataset.open;
  el.replaceChildren(...parts);
  for (const link of el.querySelectorAll("a")) link.tabIndex = -1;
  for (const button of el.querySelectorAll("button")) {
    button.tabIndex = button.dataset.open === stop ? 0 : -1;
    if (focus && button.dataset.open === focus) button.focus({ preventScroll: true });
  }
}

/** @param {Turn} row @param {Opened} opened @param {Acts} acts @returns {HTMLElement[]} */
function turnParts(row, opened, { open, look }) {
  const head = headOf(row, look), said = saidBy(row, opened);
  /** @type {HTMLElement[]} */
  const more = isFolded(row) ? [openerOf(row.key, !!opened[row.key], opened[row.key] ? "Fold" : moreOf(row), "pf-turn-more", open)] : [];
  if (row.side === "system") head.append(...more.splice(0));
  return [head, ...said, ...more, ...(row.calls ?? []).map((call, k) => callBox(call, `${row.key}:${k}`, opened, open))];
}

/** @param {Turn} row @param {(row: Turn) => void} look */
function headOf(row, look) {
  const head = make("header", "pf-turn-head"), where = row.visit ? visitButton(row, look) : row.where && make("span", "pf-turn-where", row.where);
  head.append(make("strong", "pf-turn-role", row.role));
  if (row.run) head.append(make("span", "pf-turn-where", row.run));
  if (where) head.append(where);
  if (row.state) head.append(make("span", "pf-turn-where", TURN_STATES[row.state]));
  if (row.facts) head.append(make("span", "pf-turn-facts", row.facts));
  return head;
}

/** @param {Turn} row @param {(row: Turn) => void} look */
function visitButton(row, look) {
  const button = makeButton(row.where, "pf-turn-where pf-turn-visit", () => look(row), "Open this visit");
  button.dataset.open = `visit ${row.key}`;
  return button;
}

/** The text, with a cursor while it grows. @param {Turn} row @param {Opened} opened */
function saidBy(row, opened) {
  const [text, tree] = opened[row.key] ?? [row.text, row.tree], full = opened[row.key];
  const said = tree ? markdownOf(tree, "pf-turn-text pf-turn-md") : make("div", "pf-turn-text", text);
  if (row.state === "streaming") said.append(make("span", "pf-turn-cursor", "▌"));
  said.classList.toggle("pf-folded", row.side === "system" && isFolded(row) && !full);
  return row.text || row.state === "streaming" ? [said] : [];
}

/** Whether there is more of the text than what is shown. @param {Turn} row */
function isFolded(row) {
  return row.size !== undefined && row.state !== "streaming";
}

/** @param {Turn} row */
function moreOf({ side, size = 0 }) {
  return side === "system" ? "Show all" : `Show all ${size.toLocaleString("en")} characters`;
}

/** @param {CallRow} call @param {string} key @param {Opened} opened @param {(key: string) => void} open */
function callBox([head, gave, status, took], key, opened, open) {
  const box = make("div", "pf-call"), pages = opened[key], line = openerOf(key, !!pages, "", "pf-call-head", open);
  box.dataset.status = status;
  line.append(make("span", "pf-call-fold", pages ? "▾" : "▸"), make("code", "", head), make("span", "pf-call-gave", outcomeOf(gave, status)));
  if (took) line.append(make("span", "pf-turn-facts", took));
  box.append(line, ...(pages ? pagesOf(pages, status) : []));
  return box;
}

/** @param {string} gave @param {string} status */
function outcomeOf(gave, status) {
  return status === "failed" ? `→ ✗ ${gave}` : `→ ${gave}`;
}

/** @param {string} key @param {boolean} isOpen @param {string} text @param {string} cls @param {(key: string) => void} open */
function openerOf(key, isOpen, text, cls, open) {
  const button = makeButton(text, cls, () => open(key));
  button.dataset.open = key;
  button.setAttribute("aria-expanded", String(isOpen));
  return button;
}

/** Arguments, and result or error, in full. @param {string[]} pages @param {string} status */
function pagesOf([given, gave], status) {
  const parts = [];
  for (const [name, text] of [["Arguments", given], [status === "failed" ? "Error" : "Result", gave]]) {
    if (text) parts.push(make("div", "pf-call-name", name), make("pre", "pf-call-page", text));
  }
  return parts.length ? parts : [make("div", "pf-note", "Nothing more was told.")];
}

/** All of a turn that a search looks at, in small letters. @param {Turn} row */
export function searchedIn(row) {
  return [row.role, row.run, row.where, row.text, ...(row.calls ?? []).flat()].join(" ").toLowerCase();
}

/** Who speaks, and where, for screen readers. @param {Turn} row */
export function labelOf(row) {
  return [row.role, row.run, row.where, TURN_STATES[row.state ?? ""]].filter(Boolean).join(", ");
}
