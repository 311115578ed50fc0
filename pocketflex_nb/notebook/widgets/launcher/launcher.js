// @ts-check
// The form that starts flows. The kernel keeps what is filled in; the page draws it, and says what was typed or pressed.

import { copyText } from "../base/js/clipboard.js";
import { counted, make, put } from "../base/js/dom.js";
import { listen, senderOf } from "../base/js/model.js";
import { hideStatic } from "../base/js/static_fallback.js";
import { asView } from "../base/js/view_root.js";
import { choice, fillSelect, formButton, groupOf, named, rowOf, selectOf, stepper, textField } from "./controls.js";
import { breaksOf, fieldsOf, newKeyOf, watchOf } from "./fields.js";
import { inputTableOf } from "./input_table.js";
import { pageOf } from "./page.js";
import { runsListOf, totalsOf } from "./runs_list.js";

/** @typedef {import("./page.js").Page} Page */
/** @typedef {import("./page.js").Form} Form */

/** Words, example and title of each limit. @type {Record<string, [string, string, string]>} */
const LIMITS = {
  steps: ["steps", "200", "stop cleanly after so many steps"], time: ["time", "60s", "for each whole run: 20ms, 60s, 5m, 2h"],
  tokens: ["tokens", "50k", "stop cleanly when they are spent"], cost: ["cost", "1.5", "stop cleanly when it is spent"],
};
/** Words, example and title of each file. @type {Record<string, [string, string, string]>} */
const FILES = {
  journal: ["journal", "runs.sqlite", "keep what each node does: the run goes on after a crash"],
  replay: ["replay", "runs.sqlite#night", "take results and answers from a recorded run"],
  cache: ["cache", "cache.sqlite", "reuse results of unchanged nodes"],
};
const DURABILITY = { node: "a kernel's end", power: "a loss of power", batch: "all but 50 ms" };
const MODES = { same: "Same for all", rows: "One row per agent", variable: "From a variable" };
const ON_ERROR = { others: "others go on", stop: "stop all", pause: "pause all" };
let forms = 0;

/** @param {{ model: import("../base/js/model.js").Model, el: HTMLElement }} props */
function render({ model, el }) {
  forms += 1;
  const root = asView(make("form", "pf-launcher"));
  root.noValidate = true;
  root.setAttribute("aria-label", "Launcher");
  root.addEventListener("submit", (event) => event.preventDefault());
  const page = pageOf(model, { id: `pf-l-form-${forms}`, root, send: senderOf(model) });
  const totals = totalsOf(page), runs = runsListOf(page), doing = doingOf(page);
  const flow = flowBarOf(page, totals.parts), watch = watchOf(page), breaks = breaksOf(page);
  const rows = [agentsOf(page), inputsOf(page), limitsOf(page), filesOf(page), watch, breaks];
  const parts = make("div", "pf-l-parts");
  parts.append(...rows.map((part) => part.row));
  const said = make("div", "pf-l-said");
  said.setAttribute("role", "status");
  said.setAttribute("aria-live", "polite");
  root.append(flow.el, parts, doing.el, said, runs.el);
  el.append(root);
  root.addEventListener("keydown", (event) => pressed(event, doing.begin));

  function drawForm() {
    parts.hidden = !page.form().flows.length;
    for (const part of [flow, ...rows, doing]) part.draw();
  }

  function drawSaid() {
    said.replaceChildren(...model.get("said").map((/** @type {[string, string]} */ [level, text]) => {
      const row = make("div", "pf-l-say", text);
      row.dataset.level = level;
      return row;
    }));
  }

  function drawTotals() {
    totals.draw(model.get("totals"));
    runs.tellMore(model.get("totals"));
  }

  function drawRuns() {
    runs.draw(model.get("rows"));
  }

  function drawGone() {
    root.dataset.gone = String(page.isGone());
    drawForm();
    drawTotals();
    if (!page.isGone()) return;
    flow.found.textContent = "The kernel is gone: run the cell again.";
    runs.renew(model.get("rows"));
  }

  drawForm();
  drawSaid();
  drawTotals();
  drawRuns();
  const ends = [
    listen(model, {
      "change:form": drawForm, "change:said": drawSaid, "change:totals": drawTotals, "change:rows": drawRuns, comm_live_update: drawGone,
    }),
    hideStatic(el, model),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Ctrl+Enter starts; Enter in a field does nothing: a form with one button would press it.
 *  @param {KeyboardEvent} event @param {HTMLButtonElement} begin */
function pressed(event, begin) {
  if (event.key !== "Enter") return;
  const isStart = event.ctrlKey || event.metaKey;
  if (!isStart && /** @type {HTMLElement} */ (event.target).tagName !== "INPUT") return;
  event.preventDefault();
  if (isStart && !begin.disabled) begin.click();
}

/** @param {Page} page @param {HTMLElement[]} totals */
function flowBarOf(page, totals) {
  const el = make("div", "pf-l-bar"), found = make("span", "pf-l-soft"), changed = make("span", "pf-l-changed");
  const flow = selectOf("Flow", (value) => page.set("flow", value), "pf-l-flow");
  el.append(make("span", "pf-l-title", "Launch"), flow, found, changed, ...totals);

  function draw() {
    const form = page.form();
    fillSelect(flow, form.flows.map(([text, n]) => [text, `${text}  (${counted(n, "node")})`]), form.flow);
    flow.hidden = !form.flows.length;
    found.textContent = form.flows.length ? `${counted(form.found, "flow")} in this notebook` : "No flow in this notebook yet: bind one to a name.";
    changed.textContent = form.changed.length ? `changed since last run: ${form.changed.join(", ")}` : "";
  }

  return { el, found, draw };
}

/** @param {Page} page */
function agentsOf(page) {
  const agents = stepper("Agents", (value) => page.set("agents", value));
  const atOnce = stepper("Agents at once", (value) => page.set("at_once", value), "all");
  const name = textField("pf-l-name", "Name of the runs", "the flow's"), fixed = make("span", "pf-l-fixed");
  name.addEventListener("input", () => page.set("name", name.value));
  const row = rowOf("Agents", groupOf(agents.el, fixed), groupOf(make("span", "pf-l-soft", "at once"), atOnce.el), named("name", name));

  function draw() {
    const form = page.form();
    agents.set(form.agents);
    agents.el.hidden = form.mode !== "same";
    fixed.hidden = form.mode === "same";
    fixed.textContent = `${form.runs} ${form.mode === "rows" ? "of the rows below" : "of the variable's items"}`;
    atOnce.set(form.at_once);
    atOnce.field.title = `at most ${form.most} unless said otherwise`;
    put(name, form.name);
    name.setAttribute("aria-invalid", String(!!form.problems.name));
    name.title = form.problems.name ?? "";
  }

  return { row, draw };
}

/** @param {Page} page */
function inputsOf(page) {
  const mode = choice("Inputs", MODES, (value) => page.set("mode", value));
  const variable = selectOf("Variable whose items are the inputs", (value) => page.set("variable", value));
  const key = selectOf("Key that an item is for", (value) => page.set("key", value)), items = make("span", "pf-l-items");
  const from = groupOf(variable, make("span", "pf-l-soft", "as"), key, items);
  from.classList.add("pf-l-from");
  const fields = fieldsOf(page), table = inputTableOf(page);
  const hint = make("span", "pf-l-soft pf-l-hint", "a value, plain text, or @name from the notebook");
  const more = groupOf(table.addRow, ...newKeyOf(page, fields.enter), hint);
  more.classList.add("pf-l-more");
  const body = make("div", "pf-l-stack");
  body.append(mode.el, from, fields.el, table.el, more);

  function draw() {
    const form = page.form();
    mode.set(form.mode);
    from.hidden = form.mode !== "variable";
    const none = form.variables.length ? "choose a variable" : "no list in this notebook";
    fillSelect(variable, [["", none], ...variablesOf(form)], form.variable);
    fillSelect(key, [...keysOf(form), ["", "keys of each item"]], form.key);
    items.textContent = form.items;
    fields.draw();
    table.draw();
  }

  return { row: rowOf("Inputs", body), draw };
}

/** @param {Form} form @returns {[string, string][]} */
function variablesOf(form) {
  return form.variables.map(([text, kind]) => [text, `${text}  (${kind})`]);
}

/** @param {Form} form @returns {[string, string][]} */
function keysOf(form) {
  return form.fields.map(({ key }) => [key, key]);
}

/** Text fields of one mapping of the form.
 *  @param {Page} page @param {"limits" | "files"} name @param {string} kind @param {Record<string, [string, string, string]>} words
 *  @param {string} style */
function textsOf(page, name, kind, words, style) {
  /** @type {Record<string, HTMLInputElement>} */
  const fields = {};
  const boxes = Object.entries(words).map(([what, [text, example, title]]) => {
    const field = textField(style, `${kind}: ${text}`, example);
    fields[what] = field;
    field.title = title;
    field.addEventListener("input", () => page.set(name, { [what]: field.value }));
    return named(text, field);
  });

  function draw() {
    const form = page.form();
    for (const [what, field] of Object.entries(fields)) {
      const problem = form.problems[`${kind.toLowerCase()} ${what}`] ?? "";
      put(field, form[name]?.[what] ?? "");
      field.setAttribute("aria-invalid", String(!!problem));
      field.title = problem || words[what][2];
    }
  }

  return { boxes, draw };
}

/** @param {Page} page */
function filesOf(page) {
  const texts = textsOf(page, "files", "File", FILES, "pf-l-file");
  const durability = choice("Each node survives", DURABILITY, (value) => page.set("durability", value));
  const box = groupOf(make("span", "pf-l-soft", "each node survives"), durability.el);

  function draw() {
    const form = page.form();
    texts.draw();
    durability.set(form.durability ?? "node");
    box.hidden = !form.files?.journal?.trim();
  }

  return { row: rowOf("Files", ...texts.boxes, box), draw };
}

/** @param {Page} page */
function limitsOf(page) {
  const texts = textsOf(page, "limits", "Limit", LIMITS, "pf-l-limit");
  const onError = choice("When one fails", ON_ERROR, (value) => page.set("on_error", value));
  const failBox = groupOf(make("span", "pf-l-soft", "when one fails"), onError.el);

  function draw() {
    const form = page.form();
    texts.draw();
    onError.set(form.on_error);
    failBox.hidden = form.runs < 2;
  }

  return { row: rowOf("Limits", ...texts.boxes, failBox), draw };
}

/** The buttons that start and check, and the line that does the same. @param {Page} page */
function doingOf(page) {
  const el = make("div", "pf-l-doing"), code = make("input", "pf-l-code");
  const begin = formButton("Start", "pf-l-primary", () => page.send({ do: "start" }), "Start (Ctrl+Enter)");
  const check = formButton("Dry check", "", () => page.send({ do: "check" }), "Look at the flow and the inputs, run nothing");
  code.readOnly = true;
  code.setAttribute("aria-label", "The line that does the same");
  code.addEventListener("focus", () => code.select());
  const copy = formButton("Copy", "", async () => {
    await copyText(page.form().line, { near: page.root, focus: copy });
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  copy.setAttribute("aria-label", "Copy the line");
  el.append(begin, check, code, copy);

  function draw() {
    const form = page.form(), isGone = page.isGone();
    const problem = form.problems.line || Object.values(form.problems)[0] || "";
    code.value = code.title = form.line || problem;
    code.dataset.wrong = String(!form.line && !!problem);
    copy.disabled = !form.line;
    begin.textContent = form.runs > 1 ? `Start ${form.runs}` : "Start";
    begin.disabled = isGone || !form.line || !form.runs;
    check.disabled = isGone || !form.flow;
    el.hidden = !form.flows.length;
  }

  return { el, begin, draw };
}

export default { render };
