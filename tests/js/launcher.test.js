import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { choice, fillSelect, stepper, veil } from "../../pocketflex_nb/notebook/widgets/launcher/controls.js";
import { cellsOf, nextCell } from "../../pocketflex_nb/notebook/widgets/launcher/input_table.js";
import launcher from "../../pocketflex_nb/notebook/widgets/launcher/launcher.js";
import { factsText } from "../../pocketflex_nb/notebook/widgets/launcher/runs_list.js";
import { modelOf, openPage, press } from "./page.js";

const FIELD = { key: "topic", needed: true, default: "", node: "Plan", own: false, text: "", kind: "", secret: false, problem: "" };
const FORM = {
  flows: [["research", 3]], flow: "research", found: 1, changed: [], agents: 2, at_once: 0, most: 8, name: "", mode: "same",
  fields: [FIELD, { ...FIELD, key: "n", needed: false, default: "3" }], rows: [], variables: [], variable: "", key: "topic", items: "",
  limits: { steps: "", time: "60s", tokens: "", cost: "" }, on_error: "others",
  files: { journal: "runs.sqlite", replay: "", cache: "" }, durability: "power", watch: ["a"], breaks: ["Plan"], nodes: ["Plan", "Search"], runs: 2,
  line: "%pf run research", problems: {},
};
const CELL = ["", "", ""];
const RUN = { run: 4, name: "research-1", status: "running", node: "Plan", note: "", steps: 1, time: "2 s", tokens: 0, part: null };

let el;
let model;

beforeEach(() => openPage());

function show(form = {}, traits = {}) {
  model = modelOf({ form: { ...FORM, ...form }, said: [], totals: { counts: {}, runs: 0, over: 0, shown: 0 }, rows: [], icons: {}, static: "", ...traits });
  el = document.createElement("div");
  document.body.append(el);
  return launcher.render({ model, el });
}

function cells() {
  return [...el.querySelectorAll("[role=row]:not(.pf-l-th)")].map((row) => [...row.querySelectorAll("input")]);
}

test("what is filled in goes to the kernel", () => {
  show();
  const field = el.querySelector(".pf-l-fields input");
  field.value = "ants";
  field.dispatchEvent(new window.Event("input"));
  el.querySelector(".pf-l-chip:last-child").click();
  el.querySelector(".pf-l-primary").click();
  assert.deepEqual(model.sent, [
    { do: "value", key: "topic", text: "ants" }, { do: "set", name: "breaks", value: ["Plan", "Search"] }, { do: "start" },
  ]);
});

test("a problem is written at its field, and nothing can be started", () => {
  show({ fields: [{ ...FIELD, text: "x", problem: "no name x" }], line: "", problems: { "value topic": "no name x", "limit time": "a duration" } });
  const [input, problem] = [el.querySelector(".pf-l-fields input"), el.querySelector(".pf-l-problem")];
  assert.equal(problem.textContent, "no name x");
  assert.equal(input.getAttribute("aria-describedby"), problem.id);
  assert.deepEqual([input.getAttribute("aria-invalid"), el.querySelector(".pf-l-primary").disabled], ["true", true]);
});

test("files are filled in, and what a kept node survives is asked with a journal", () => {
  show({ problems: { "file replay": "a file's name" } });
  const [journal, replay, cache] = el.querySelectorAll(".pf-l-file"), box = el.querySelector('[aria-label="Each node survives"]');
  assert.deepEqual([journal.value, replay.getAttribute("aria-invalid"), replay.title], ["runs.sqlite", "true", "a file's name"]);
  cache.value = "c.sqlite";
  cache.dispatchEvent(new window.Event("input"));
  box.querySelector("input").click();
  assert.deepEqual(model.sent, [
    { do: "set", name: "files", value: { cache: "c.sqlite" } }, { do: "set", name: "durability", value: "node" },
  ]);
  assert.equal(box.parentElement.hidden, false);
  model.set("form", { ...FORM, files: { journal: " " } });
  assert.equal(box.parentElement.hidden, true);
});

test("rows are a grid, which arrow keys walk", () => {
  show({ mode: "rows", rows: [[CELL, CELL], [CELL, CELL]] });
  const grid = el.querySelector("[role=grid]"), inputs = cells();
  assert.deepEqual([grid.getAttribute("aria-rowcount"), grid.getAttribute("aria-colcount")], ["3", "4"]);
  assert.equal(grid.querySelectorAll("[role=gridcell]").length, 6);
  inputs[0][0].focus();
  assert.ok(press(document.activeElement, "ArrowDown"));
  assert.equal(document.activeElement, inputs[1][0]);
  assert.ok(press(document.activeElement, "ArrowRight"));
  assert.ok(press(document.activeElement, "ArrowUp"));
  assert.equal(document.activeElement, inputs[0][1]);
  press(document.activeElement, "End", { ctrlKey: true });
  assert.equal(document.activeElement, inputs[1][1]);
  press(document.activeElement, "Enter");
  assert.deepEqual(model.sent, [{ do: "add row" }]);
  model.set("form", { ...model.get("form"), rows: [[CELL, CELL], [CELL, CELL], [CELL, CELL]] });
  assert.equal(document.activeElement, cells()[2][0]);
});

test("an arrow stays in a field until its end", () => {
  const at = (value, start, end = start) => ({ value, selectionStart: start, selectionEnd: end });
  const grid = [[0, 1, 2]], to = (key, target) => nextCell({ key, ctrlKey: false, target }, 0, 1, grid);
  assert.deepEqual([to("ArrowRight", at("ab", 1)), to("ArrowRight", at("ab", 2)), to("ArrowLeft", at("ab", 0))], [null, [0, 2], [0, 0]]);
  assert.deepEqual([to("ArrowLeft", at("ab", 0, 2)), to("x", at("", 0))], [null, null]);
});

test("a spreadsheet's text is cells", () => {
  assert.deepEqual(cellsOf("a\tb\tc\r\nd\te\n", 2), [["a", "b"], ["d", "e"]]);
  assert.equal(cellsOf("one value\n", 2), null);
});

test("a secret is veiled, the name of what holds it is not", () => {
  const input = document.createElement("input");
  veil(input, true);
  const typed = (text) => {
    input.value = text;
    input.dispatchEvent(new window.Event("input"));
    return input.type;
  };
  assert.deepEqual([input.type, typed("@KEY"), typed("sk-1"), typed("")], ["password", "text", "password", "text"]);
});

test("arrow keys choose among radio buttons", () => {
  const chosen = [], { el: group, set } = choice("Mode", { a: "A", b: "B", c: "C" }, (value) => chosen.push(value));
  document.body.append(group);
  set("a");
  const radios = [...group.querySelectorAll("input")];
  radios[0].focus();
  press(document.activeElement, "ArrowUp");
  press(document.activeElement, "ArrowRight");
  assert.equal(press(document.activeElement, "End"), false);
  assert.deepEqual([chosen, radios.map((radio) => radio.checked)], [["c", "a"], [true, false, false]]);
});

test("a stepper keeps to its bounds, and may be left out where it says so", () => {
  const chosen = [], one = stepper("Agents", (value) => chosen.push(value)), some = stepper("At once", (value) => chosen.push(value), "all");
  one.set(1);
  one.el.querySelector("button").click();
  press(one.field, "PageUp");
  some.set(1);
  press(some.field, "ArrowDown");
  assert.deepEqual([chosen, one.field.value, some.field.value, some.field.placeholder], [[1, 11, 0], "11", "", "all"]);
});

test("a select keeps its options while they are the same", () => {
  const select = document.createElement("select"), options = [["a", "A"], ["b", "B"]];
  fillSelect(select, options, "a");
  const first = select.firstChild;
  fillSelect(select, [...options], "b");
  assert.deepEqual([select.firstChild === first, select.value], [true, "b"]);
});

test("runs have lines with buttons for what can be done with them", () => {
  show({}, { rows: [RUN], totals: { counts: { running: 1 }, runs: 3, over: 0, shown: 1 } });
  const line = el.querySelector("[role=listitem]"), shown = () => [...line.querySelectorAll("button")].filter((b) => !b.hidden).map((b) => b.textContent);
  assert.deepEqual(shown(), ["View", "Store", "Pause", "Stop"]);
  assert.equal(el.querySelector(".pf-l-runs").dataset.more, "2 more: %pf runs --all");
  model.set("rows", [{ ...RUN, status: "paused" }]);
  line.querySelectorAll("button")[2].click();
  model.set("rows", [{ ...RUN, status: "done" }]);
  assert.deepEqual([model.sent, shown()], [[{ do: "run", run: 4, what: "resume" }], ["View", "Store", "Again"]]);
  assert.equal(factsText({ ...RUN, tokens: 9, part: 0.5 }), "50 % · 1 step · 2 s · 9 tok");
});

test("a form whose kernel went starts nothing", () => {
  const end = show({}, { rows: [RUN] });
  model.comm_live = false;
  model.hear("comm_live_update");
  assert.deepEqual([el.querySelector(".pf-l-primary").disabled, el.querySelector(".pf-launcher").dataset.gone], [true, "true"]);
  end();
  assert.equal(model.listeners(), 0);
});
