// @ts-check
// What the drawer tells of one visit: values, action, changes, tries, and what was said.

import { counted, make, makeButton, setAttributes } from "../base/js/dom.js";
import { clock, sign, stateOf } from "../base/js/status.js";
import { valueViewOf } from "../base/js/value_view.js";

/** @typedef {{ part: string, name: string, kind: string, text: string, note: string, opens: boolean }} KeptPart */
/** Sign, piece. @typedef {[string, string][]} Words */
/** @typedef {{
 *   run: number, name: string, node: string, address: string, visit: number, of: number, before: string, after: string, status: string,
 *   seconds: number | null, retries: number, tokens: number, cost: number, parts: KeptPart[], why: string, action: string,
 *   tries: [string, string, string][], changes: [string, string, string, Words][], unchanged: string, said: [string, string][], left?: number,
 * }} VisitCard */
/** @typedef {(part: string, name: string) => import("../base/js/value_view.js").ValueSource} SourceOf */

/** Status, time, tries, tokens and cost. @param {VisitCard} card */
export function factsOfVisit({ visit, of, status, seconds, retries, tokens, cost }) {
  return [
    `visit ${visit} of ${of}`, status, ...(seconds === null ? [] : [seconds < 0.1 ? `${Math.round(seconds * 1000)} ms` : clock(seconds)]),
    ...(retries ? [counted(retries, "retry", "retries")] : []), ...(tokens ? [`${tokens.toLocaleString("en")} tok`] : []),
    ...(cost ? [`cost ${Number(cost.toPrecision(3))}`] : []),
  ];
}

/** @param {Record<string, string>} glyphs @param {VisitCard} card @param {boolean} isRunNamed */
export function headOfVisit(glyphs, card, isRunNamed) {
  const el = make("div", "pf-visit-head"), name = make("strong", "pf-visit-node", card.node);
  el.append(sign(glyphs, stateOf(card.status)), name, make("span", "pf-visit-facts", factsOfVisit(card).join(" · ")));
  if (isRunNamed) el.append(make("span", "pf-visit-run", card.name));
  return el;
}

/** The values of a visit; one that is opened stays open while the visit goes on.
 *  @param {VisitCard} card @param {SourceOf} sourceOf */
export function partsOfVisit({ parts, why }, sourceOf) {
  const el = make("div", "pf-visit-parts");
  for (const part of parts) el.append(partOf(part, sourceOf(part.part, part.name)));
  if (why) el.append(make("div", "pf-note", why));
  return el;
}

/** @param {KeptPart} part @param {import("../base/js/value_view.js").ValueSource} source */
function partOf({ part, name, kind, text, note, opens }, source) {
  const el = make("div", "pf-visit-part"), holder = make("div", "pf-visit-value");
  el.dataset.part = part;
  const told = [make("span", "pf-visit-name", name), make("span", "pf-value-kind", kind), make("span", "pf-value-preview", text)];
  if (!opens) {
    const line = make("div", "pf-visit-line");
    line.append(make("span", "pf-value-twist"), ...told);
    el.append(line);
  } else {
    const button = makeButton("", "pf-visit-line pf-value-opener"), value = valueViewOf(source);
    let isShown = false;
    button.append(make("span", "pf-value-twist", "▸"), ...told);
    button.setAttribute("aria-expanded", "false");
    button.tabIndex = -1;
    holder.hidden = true;
    holder.append(value.el);
    button.addEventListener("click", async () => {
      holder.hidden = !holder.hidden;
      button.setAttribute("aria-expanded", String(!holder.hidden));
      /** @type {Element} */ (button.firstElementChild).textContent = holder.hidden ? "▸" : "▾";
      if (!holder.hidden && !isShown) {
        isShown = true;
        await value.show();
      }
    });
    el.append(button, holder);
  }
  if (note) el.append(make("div", "pf-value-note", note));
  return el;
}

/** What a visit did, beside its values. @param {VisitCard} card */
export function deedsOfVisit(card) {
  const el = make("div", "pf-visit-deeds");
  if (card.action) el.append(sectionOf("Action", [make("div", "pf-visit-action", card.action)]));
  if (card.tries.length) el.append(sectionOf("Tries", card.tries.map(tryOf)));
  el.append(sectionOf("Changed in the store", card.changes.length ? card.changes.map(changeOf) : [make("div", "pf-note", card.unchanged)]));
  const said = card.said.map(([kind, text]) => saidOf(kind, text));
  if (card.left) said.unshift(make("div", "pf-note", `${card.left.toLocaleString("en")} earlier lines are left out.`));
  if (said.length) el.append(sectionOf("Prints, messages and calls", said));
  return el;
}

/** @param {string} title @param {HTMLElement[]} rows */
export function sectionOf(title, rows) {
  const el = make("section", "pf-visit-section"), head = make("div", "pf-visit-title", title);
  el.setAttribute("aria-label", title);
  el.append(head, ...rows);
  return el;
}

/** @param {[string, string, string]} row */
function tryOf([number, error, line]) {
  const el = make("div", "pf-visit-try"), text = make("span", "", error);
  el.dataset.failed = String(error !== "ok" && error !== "going on");
  el.append(make("span", "pf-visit-number", number), text);
  if (line) el.append(make("pre", "pf-visit-trace", line));
  return el;
}

/** @param {[string, string, string, Words?]} change */
export function changeOf([mark, where, text, words = []]) {
  const el = make("div", "pf-visit-change");
  el.dataset.sign = mark;
  el.append(make("span", "pf-visit-sign", mark), make("span", "pf-visit-where", where), make("span", "pf-visit-text", text));
  if (words.length) el.append(wordsOf(words));
  return el;
}

/** A text's change, word by word. @param {Words} words */
export function wordsOf(words) {
  const el = make("div", "pf-visit-words");
  el.setAttribute("aria-label", "Changed words");
  el.append(...words.map(([mark, piece]) => make(mark === "+" ? "ins" : mark === "-" ? "del" : "span", "", piece)));
  return el;
}

/** @param {string} kind @param {string} text */
function saidOf(kind, text) {
  const el = make("div", "pf-visit-said");
  el.dataset.kind = kind;
  setAttributes(el, { title: kind });
  el.append(make("span", "pf-visit-kind", kind), make("span", "pf-visit-words-said", text));
  return el;
}
