// @ts-check
// The launcher's controls: buttons, choices, numbers with a step to both sides, and fields that veil a secret.

import { make, makeButton, makeOption, put, setAttributes } from "../base/js/dom.js";
import { reached } from "../base/js/roving.js";

/** The highest number of a stepper. */
const HIGHEST = 10_000;
/** @type {Record<string, number>} */
const STEPS = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
let groups = 0;

/** @param {string} text @param {string} cls @param {() => void} press @param {string} [title] */
export function formButton(text, cls, press, title) {
  return makeButton(text, `pf-l-button ${cls}`, press, title);
}

/** @param {string} cls @param {string} label @param {string} [placeholder] */
export function textField(cls, label, placeholder = "") {
  const field = make("input", `pf-l-input ${cls}`.trim());
  field.placeholder = placeholder;
  field.setAttribute("aria-label", label);
  return field;
}

/** @param {string} label @param {(value: string) => void} chosen */
export function selectOf(label, chosen, cls = "") {
  const select = make("select", `pf-l-select ${cls}`.trim());
  select.setAttribute("aria-label", label);
  select.addEventListener("change", () => chosen(select.value));
  return select;
}

/** Give a select its options, where they differ, and its value. @param {HTMLSelectElement} select @param {[string, string][]} options @param {string} chosen */
export function fillSelect(select, options, chosen) {
  const now = JSON.stringify(options);
  if (select.dataset.held !== now) {
    select.dataset.held = now;
    select.replaceChildren(...options.map(([value, text]) => makeOption(value, text)));
  }
  if (select.value !== chosen) select.value = chosen;
}

/** A row of the form. @param {string} text @param {...Node} parts */
export function rowOf(text, ...parts) {
  const row = make("div", "pf-l-row"), body = make("div", "pf-l-body");
  body.append(...parts);
  row.append(make("div", "pf-l-label", text), body);
  return row;
}

/** A field with its name before it. @param {string} text @param {Node} part */
export function named(text, part) {
  const box = make("label", "pf-l-named");
  box.append(make("span", "pf-l-soft", text), part);
  return box;
}

/** @param {...Node} parts */
export function groupOf(...parts) {
  const group = make("div", "pf-l-group");
  group.append(...parts);
  return group;
}

/** Show dots in the field of a secret, but for the name of what holds it. @param {HTMLInputElement} input @param {boolean} isSecret */
export function veil(input, isSecret) {
  input.type = isSecret ? "password" : "text";
  input.autocomplete = "off";
  if (isSecret) input.addEventListener("input", () => { input.type = /^@?$|^@/.test(input.value) ? "text" : "password"; });
}

/** One choice of a few, as a row of radio buttons: arrow keys go from one to the next.
 *  @param {string} label @param {Record<string, string>} choices @param {(value: string) => void} chosen */
export function choice(label, choices, chosen) {
  const el = make("div", "pf-l-choice");
  setAttributes(el, { role: "radiogroup", "aria-label": label });
  groups += 1;
  const name = `pf-l-${groups}`, values = Object.keys(choices);
  /** @type {Record<string, HTMLInputElement>} */
  const radios = {};
  const go = (/** @type {KeyboardEvent} */ event, /** @type {string} */ value) => {
    const to = event.key.startsWith("Arrow") ? reached(event.key, values.indexOf(value), values.length, "both") : undefined;
    if (to === undefined) return;
    event.preventDefault(); // front ends keep the arrows from the browser, so they are walked here
    radios[values[to]].checked = true;
    radios[values[to]].focus();
    chosen(values[to]);
  };
  for (const [value, text] of Object.entries(choices)) {
    const box = make("label", "pf-l-option"), radio = make("input", "pf-l-radio");
    radios[value] = Object.assign(radio, { type: "radio", name, value });
    radio.addEventListener("change", () => chosen(value));
    radio.addEventListener("keydown", (event) => go(event, value));
    box.append(radio, make("span", "", text));
    el.append(box);
  }
  return {
    el,
    set(/** @type {string} */ value) {
      if (radios[value]) radios[value].checked = true;
    },
  };
}

/** A number with a step to both sides. @param {string} label @param {(value: number) => void} chosen @param {string} [empty] what stands in
 *  its place where it may be left out */
export function stepper(label, chosen, empty) {
  const el = make("div", "pf-l-stepper"), field = textField("pf-l-number", label, empty), least = empty ? 0 : 1;
  Object.assign(field, { type: "text", inputMode: "numeric" });
  field.setAttribute("role", "spinbutton");
  const textOf = (/** @type {number} */ value) => (value || !empty ? String(value) : "");
  const go = (/** @type {number} */ value) => {
    const whole = Math.max(least, Math.min(HIGHEST, Math.round(value) || least));
    field.value = textOf(whole);
    field.setAttribute("aria-valuenow", String(whole));
    chosen(whole);
  };
  const now = () => Number(field.value) || 0;
  const tick = (/** @type {string} */ text, /** @type {string} */ says, /** @type {number} */ by) => {
    const button = formButton(text, "pf-l-tick", () => go(now() + by));
    button.setAttribute("aria-label", `${label}: ${says}`);
    button.tabIndex = -1;
    return button;
  };
  field.addEventListener("input", () => { if (Number(field.value) >= 1) chosen(Math.round(Number(field.value))); });
  field.addEventListener("change", () => go(now()));
  field.addEventListener("keydown", (event) => {
    const by = STEPS[event.key];
    if (!by) return;
    event.preventDefault();
    go(now() + by);
  });
  el.append(tick("−", "one less", -1), field, tick("+", "one more", 1));
  return {
    el, field,
    set(/** @type {number} */ value) {
      put(field, textOf(value));
      field.setAttribute("aria-valuenow", String(value));
    },
  };
}
