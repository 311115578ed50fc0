// @ts-check
// A question of a run, with its buttons, its form or its line to type in.

import { make, makeButton, write } from "../base/js/dom.js";

/** @typedef {{ ask: number, question: string, choices?: string[], schema?: Record<string, string>, refused?: string, ends?: number }} Ask */

/** @type {Record<string, string>} */
const INPUT_TYPES = { bool: "checkbox", int: "number", float: "number" };

/** The card of a question: the one that stands in the row already, with what was refused; else a new one.
 *  @param {HTMLElement} row @param {Ask} ask @param {(value: any) => void} answer @returns {HTMLElement} */
export function answerCardOf(row, ask, answer) {
  const kept = /** @type {HTMLElement | null} */ (row.querySelector(`.pf-ask[data-ask="${ask.ask}"]`));
  const said = kept?.querySelector(".pf-refused");
  if (said) write(said, ask.refused ?? "");
  return kept ?? newCard(ask, answer);
}

/** @param {Ask} ask @param {(value: any) => void} answer */
function newCard(ask, answer) {
  const form = make("form", "pf-ask"), line = make("div", "pf-answers");
  form.dataset.ask = String(ask.ask);
  form.setAttribute("aria-label", "A question of this agent");
  if (ask.choices?.length) line.append(...ask.choices.map((choice) => makeButton(choice, "pf-button", () => answer(choice))));
  const read = ask.choices?.length ? undefined : fieldsOfAnswer(ask, line);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (read) answer(read());
  });
  form.addEventListener("keydown", (event) => {      // wherever the browser, or what is around this page, has other plans for the key
    if (event.key !== "Enter" || event.isComposing || !(/** @type {Element} */ (event.target).matches("input"))) return;
    event.preventDefault();
    event.stopPropagation();
    if (read) answer(read());
  });
  form.append(make("div", "pf-question", ask.question), line, make("div", "pf-refused", ask.refused ?? ""));
  if (ask.ends) countDown(form, ask.ends);
  return form;
}

/** Fields for an answer, put into `line`; the function gives what is in them. @param {Ask} ask @param {HTMLElement} line */
function fieldsOfAnswer({ question, schema }, line) {
  const inputs = Object.entries(schema ?? { "": "str" }).map(([name, kind]) => {
    const label = make("label", "pf-field", name), input = make("input", "pf-input");
    input.type = INPUT_TYPES[kind] ?? "text";
    if (kind === "float") input.step = "any";
    if (!name) input.setAttribute("aria-label", question);
    label.append(input);
    line.append(label);
    return /** @type {[string, HTMLInputElement]} */ ([name, input]);
  });
  const send = makeButton("Answer", "pf-button pf-primary");
  send.type = "submit";
  line.append(send);
  const filled = (/** @type {HTMLInputElement} */ input) => (input.type === "checkbox" ? input.checked : input.value);
  return () => (schema ? Object.fromEntries(inputs.map(([name, input]) => [name, filled(input)])) : inputs[0][1].value);
}

/** How long a question stays open, once a second, until its card is gone.
 *  @param {HTMLElement} form @param {number} ends seconds since the epoch */
function countDown(form, ends) {
  const left = make("div", "pf-left");
  left.setAttribute("role", "timer");
  form.querySelector(".pf-question")?.after(left);
  let wasShown = false;
  const tick = () => {
    wasShown ||= form.isConnected;
    if (wasShown && !form.isConnected) {
      clearInterval(clockwork);
      return;
    }
    const seconds = Math.max(0, Math.ceil(ends - Date.now() / 1000));
    left.textContent = leftText(seconds);
    left.dataset.soon = String(seconds <= 10);
  };
  const clockwork = setInterval(tick, 500);
  tick();
}

/** @param {number} seconds */
export function leftText(seconds) {
  return seconds >= 60 ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min left` : `${seconds} s left`;
}
