// @ts-check
// What failed, on which input, and the user's own lines.

import { make, setAttributes } from "../base/js/dom.js";

/** @typedef {{ node: string, run: string, type: string, text: string, inputs: [string, string, string][], trace: string[] }} RunError */

/** @param {RunError} error @param {boolean} isShort whether its first line is all that is shown */
export function errorCardOf({ node, run, type, text, inputs, trace }, isShort) {
  const card = make("div", "pf-error-card"), head = make("div", "pf-error-head");
  setAttributes(card, { role: "group", "aria-label": `Error in ${node || run}` });
  head.append(make("strong", "", type), ` ${text}`);
  card.append(head);
  if (isShort) return card;
  const told = make("dl", "pf-error-facts");
  if (node) told.append(make("dt", "", "node"), make("dd", "", node));
  for (const [name, kind, value] of inputs) told.append(make("dt", "", name), make("dd", "", `${value}  (${kind})`));
  card.append(told);
  if (trace.length) card.append(make("pre", "pf-error-trace", trace.join("\n")));
  return card;
}
