// @ts-check
// The form of "Run from here": the values that the step reads, as they were, each to edit.

import { make, makeButton } from "../base/js/dom.js";

/** Key, type, preview, source or null for what cannot be written, whether it is a text.
 *  @typedef {[string, string, string, string | null, boolean]} ForkField */
/** @typedef {{ at: number, note: string, fields: ForkField[] }} ForkForm */

/** The edits of a form: what differs from what it began with. @param {ForkField[]} fields @param {(string | null)[]} values */
export function editsOf(fields, values) {
  return fields.flatMap(([key, , , source, isText], k) => (source !== null && values[k] !== source ? [[key, values[k], isText]] : []));
}

/** @param {ForkForm} form @param {(edits: unknown[][]) => void} start @param {() => void} close */
export function forkFormOf({ at, note, fields }, start, close) {
  const el = make("form", "pf-fork"), grid = make("div", "pf-fork-fields"), tools = make("div", "pf-fork-tools");
  el.setAttribute("aria-label", "Run from here");
  el.append(make("div", "pf-fork-title", `A new run, with the first ${at} steps taken over. What this step reads, as it was then:`));
  /** @type {(HTMLTextAreaElement | null)[]} */
  const inputs = [];
  for (const [key, kind, preview, source] of fields) {
    const label = make("label", "pf-fork-label"), name = make("span", "pf-fork-key", key);
    name.append(make("span", "pf-fork-kind", ` ${kind}`));
    const input = source === null ? null : make("textarea", "pf-fork-input");
    inputs.push(input);
    if (input) {
      input.value = source ?? "";
      input.setSelectionRange(0, 0);
      input.rows = Math.min(Math.max(input.value.split("\n").length, Math.ceil(input.value.length / 90), 1), 8);
    }
    label.append(name, input ?? make("span", "pf-fork-fixed", `${preview}   stays as it was`));
    grid.append(label);
  }
  if (!fields.length) grid.append(make("div", "pf-note", "The step reads no key of the store."));
  const go = makeButton("Start", "pf-button pf-primary");
  go.type = "submit";
  el.addEventListener("submit", (event) => {
    event.preventDefault();
    start(editsOf(fields, inputs.map((input) => input?.value ?? null)));
  });
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      close();
      event.preventDefault();
    }
    event.stopPropagation();
  });
  tools.append(go, makeButton("Cancel", "pf-button", close));
  if (note) el.append(make("div", "pf-note", note));
  el.append(grid, tools);
  return { el, first: () => inputs.find(Boolean) ?? go };
}
