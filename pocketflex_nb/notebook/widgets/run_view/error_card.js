// @ts-check
// What failed, on which values, and the user's own lines.

import { make, makeButton, setAttributes } from "../base/js/dom.js";

/** @typedef {{
 *   node: string, run: string, type: string, text: string, cause?: string, inputs: [string, string, string][], trace: string[],
 * }} RunError */

/** @param {RunError} error @param {{ isShort?: boolean, copy?: () => void }} [options] whether its first line is all that is shown, and what
 *  its button does */
export function errorCardOf({ node, run, type, text, cause, inputs, trace }, { isShort = false, copy } = {}) {
  const card = make("div", "pf-error-card"), head = make("div", "pf-error-head");
  setAttributes(card, { role: "group", "aria-label": `Error in ${node || run}` });
  head.append(make("strong", "", type), ` ${text}`);
  card.append(head);
  if (isShort) return card;
  if (trace.length) card.append(make("pre", "pf-error-trace", trace.join("\n")));
  const told = make("dl", "pf-error-facts");
  if (node) told.append(make("dt", "", "node"), make("dd", "", node));
  if (cause) told.append(make("dt", "", "because of"), make("dd", "", cause));
  for (const [name, kind, value] of inputs) told.append(make("dt", "", name), make("dd", "", `${value}  (${kind})`));
  card.append(told);
  if (copy) card.append(makeButton("Copy traceback", "pf-button pf-small", copy, "The whole traceback, with the lines of libraries"));
  return card;
}
