// @ts-check
// The fields of the inputs that all runs share, of watched expressions, and of nodes to pause before.

import { make, put, setAttributes, signButton } from "../base/js/dom.js";
import { walkRowButtons } from "../base/js/roving.js";
import { formButton, groupOf, rowOf, textField, veil } from "./controls.js";

/** @typedef {import("./page.js").Page} Page */
/** @typedef {import("./page.js").Field} Field */
/** @typedef {{ input: HTMLInputElement, kind: HTMLElement, problem: HTMLElement }} Box */

/** Fields of one kind for all runs: made once for each key, then only written. @param {Page} page */
export function fieldsOf(page) {
  const el = make("div", "pf-l-fields");
  /** @type {Map<string, Box>} */
  const boxes = new Map();
  let wanted = "";

  function draw() {
    const form = page.form();
    const held = form.fields.filter((field) => !(form.mode === "variable" && field.key === form.key));
    const shape = held.map((field) => field.key).join("\n");
    el.hidden = form.mode === "rows";
    if (el.dataset.shape !== shape) {
      el.dataset.shape = shape;
      boxes.clear();
      el.replaceChildren(...held.map((field) => add(field)));
    }
    for (const field of held) writeBox(/** @type {Box} */ (boxes.get(field.key)), field);
    const goal = wanted && boxes.get(wanted);
    if (!goal) return;
    goal.input.focus();
    wanted = "";
  }

  /** @param {Field} field */
  function add(field) {
    const { el: box, ...parts } = boxOf(page, field, `${page.id}-${boxes.size}`);
    boxes.set(field.key, parts);
    return box;
  }

  return {
    el, draw,
    /** Put the focus into the field of this key, once there is one. @param {string} key */
    enter(key) { wanted = key; },
  };
}

/** @param {Page} page @param {Field} field @param {string} id of what says the problem */
function boxOf(page, field, id) {
  const el = make("div", "pf-l-field"), problem = make("div", "pf-l-problem"), top = make("div", "pf-l-top"), kind = make("span", "pf-l-kind");
  problem.id = id;
  const input = textField("", field.key + (field.needed ? ", needed" : ""));
  veil(input, field.secret);
  input.placeholder = field.secret ? "@NAME" : field.default || (field.needed ? "" : "left out");
  input.setAttribute("aria-describedby", id);
  input.spellcheck = false;
  input.addEventListener("input", () => page.send({ do: "value", key: field.key, text: input.value }));
  if (field.node) input.title = `read by ${field.node}`;
  top.append(make("span", "pf-l-key", field.key), kind);
  if (field.own) {
    top.append(signButton("×", "pf-l-button pf-l-away", `Leave out ${field.key}`, () => page.send({ do: "drop key", key: field.key })));
  }
  el.append(top, input, problem);
  return { el, input, kind, problem };
}

/** @param {Box} box @param {Field} field */
function writeBox({ input, kind, problem }, field) {
  if (!field.secret || field.text) put(input, field.text);
  if (field.secret && field.text) input.type = "text";
  kind.textContent = kindText(field);
  kind.dataset.kind = !field.text && field.needed ? "needed" : "";
  problem.textContent = field.problem;
  input.setAttribute("aria-invalid", String(!!field.problem));
}

/** @param {Field} field */
function kindText({ problem, text, kind, needed }) {
  if (problem) return "";
  if (text) return kind;
  return needed ? "needed" : "";
}

/** A field for the key of another input. @param {Page} page @param {(key: string) => void} added */
export function newKeyOf(page, added) {
  const field = textField("pf-l-newkey", "Another key of the store", "another key");
  const button = formButton("Add", "pf-l-quiet", () => {
    const key = field.value.trim();
    if (!key) {
      field.focus();
      return;
    }
    page.send({ do: "value", key, text: "" });
    added(key);
    field.value = "";
  });
  button.setAttribute("aria-label", "Add the key");
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey) return;
    event.preventDefault();
    button.click();
  });
  return [field, button];
}

/** One field for each watched expression, and an empty one to begin the next with. @param {Page} page */
export function watchOf(page) {
  const el = make("div", "pf-l-group");

  function send() {
    const texts = [...el.children].map((field) => /** @type {HTMLInputElement} */ (field).value);
    while (texts.length && !texts[texts.length - 1].trim()) texts.pop();
    page.set("watch", texts);
  }

  function draw() {
    const { watch: texts, problems } = page.form();
    while (el.children.length < texts.length + 1) {
      const n = el.children.length;
      const field = textField("pf-l-watch", `Expression of the store to watch, ${n + 1}`, n ? "and" : 'len(store["notes"])');
      field.spellcheck = false;
      field.addEventListener("input", send);
      el.append(field);
    }
    for (const [n, field] of /** @type {HTMLInputElement[]} */ ([...el.children]).entries()) {
      const problem = problems[`watch ${n}`] ?? "";
      put(field, texts[n] ?? "");
      field.setAttribute("aria-invalid", String(!!problem));
      field.title = problem || "shown live; a number as a curve";
      field.hidden = n > texts.length;
    }
  }

  return { row: rowOf("Watch", el), draw };
}

/** The nodes, each a button that is pressed where runs pause before it. @param {Page} page */
export function breaksOf(page) {
  const el = groupOf();
  el.classList.add("pf-l-breaks");
  setAttributes(el, { role: "group", "aria-label": "Pause before these nodes" });
  const row = rowOf("Break before", el);
  walkRowButtons(row, ".pf-l-breaks");

  /** @param {string} node */
  function toggle(node) {
    const { breaks } = page.form();
    page.set("breaks", breaks.includes(node) ? breaks.filter((other) => other !== node) : [...breaks, node]);
  }

  function draw() {
    const { nodes, breaks } = page.form();
    row.hidden = !nodes.length;
    const shape = nodes.join("\n");
    if (el.dataset.shape !== shape) {
      el.dataset.shape = shape;
      el.replaceChildren(...nodes.map((node) => formButton(node, "pf-l-chip", () => toggle(node))));
    }
    for (const [n, chip] of [...el.children].entries()) chip.setAttribute("aria-pressed", String(breaks.includes(nodes[n])));
  }

  return { row, draw };
}
