import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { leftText } from "../../pocketflex_nb/notebook/widgets/run_view/answer_card.js";
import { rowsWith } from "../../pocketflex_nb/notebook/widgets/run_view/detail_tabs.js";
import { Diagram } from "../../pocketflex_nb/notebook/widgets/run_view/diagram.js";
import { factsOf } from "../../pocketflex_nb/notebook/widgets/run_view/header.js";
import { drawLines, linesOf, partsOfLines } from "../../pocketflex_nb/notebook/widgets/run_view/lane_lines.js";
import { sizeOfLanes } from "../../pocketflex_nb/notebook/widgets/run_view/lanes.js";
import { timeOf } from "../../pocketflex_nb/notebook/widgets/run_view/pending.js";
import view from "../../pocketflex_nb/notebook/widgets/run_view/run_view.js";
import { barsOf } from "../../pocketflex_nb/notebook/widgets/run_view/sparklines.js";
import { partsOf, sizeOf } from "../../pocketflex_nb/notebook/widgets/run_view/status_grid.js";
import { endOf, patternPath, rowsOf, swatchClasses, titleOf } from "../../pocketflex_nb/notebook/widgets/run_view/timeline.js";
import { ageOf, capOf } from "../../pocketflex_nb/notebook/widgets/run_view/view.js";
import { centred, clamped, fitOf, isBeside, isSeen, LEAST, scaleOf, zoomed } from "../../pocketflex_nb/notebook/widgets/run_view/viewport.js";
import { modelOf, openPage, press } from "./page.js";

const SVG = [
  '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100" viewBox="0 0 300 100">',
  '<g class="pf-edge" data-edge="A|go"><path d="M0 0"/></g>',
  '<g class="pf-node" data-node="A" data-state="idle"><rect class="pf-shape" width="80"/><path class="pf-glyph"/><text class="pf-label" x="9" y="20">A</text>'
  + '<g class="pf-visits"><rect x="60" width="16"/><text>×1</text></g></g>',
  "</svg>",
].join("\n");
const STRIP = { name: "research", status: "running", runs: 1, counts: { running: 1 }, steps: 3, problems: [], epoch: null };
const LANE = { key: 1, name: "research", status: "running", at: ["A"], steps: 3, seconds: null, lines: [["print", "hello\n", "A"]], asks: [], error: null };
const TRAITS = {
  revision: 0, height: 400, icons: { running: "M1 1" }, static: "", header: STRIP, diagrams: [{ name: "research", svg: SVG }],
  states: { 0: { A: ["running", 2, "at it"] } }, edges: { 0: { "A|go": 1 } }, lanes: [LANE], focus: -1, status_grid: "", spans: [[["A", 0, 10, false, 0]]],
  marks: [[]], cursor: { live: true, at: 3, of: 3, ms: 10, text: "A" }, tabs: ["diff", "store", "events"],
  tab_content: { tab: "diff", rows: [["~", "n", "1 → 2"], ["+", "m", "3"]] },
};
const TWICE = [[["A", 0, 5, false, 0], ["A", 5, 10, false, 0]]];

let el;
let model;
let end;

beforeEach(() => openPage());

async function show(traits = {}) {
  model = modelOf({ ...TRAITS, ...traits });
  model.comm_live = true;
  el = document.createElement("div");
  document.body.append(el);
  end = view.render({ model, el });
  for (let n = 0; n < 8; n += 1) await new Promise((resolve) => { setTimeout(resolve, 1); });
}

function named(text) {
  return [...el.querySelectorAll("button")].find((button) => button.textContent === text);
}

test("states and arrows are written into the picture", async (t) => {
  await show();
  t.after(end);
  const node = el.querySelector("[data-node=A]"), edge = el.querySelector("[data-edge]");
  assert.deepEqual([node.getAttribute("data-state"), node.querySelector(".pf-visits text").textContent], ["running", "×2"]);
  assert.equal(node.querySelector(".pf-caption").textContent, "at it");
  assert.deepEqual([edge.getAttribute("data-count"), edge.querySelector("path").getAttribute("stroke-width")], ["1", "1.9"]);
  assert.equal(node.querySelector(".pf-glyph").getAttribute("d"), "M1 1");
});

test("a picture's badge stays at its right side, and tells thousands", () => {
  const diagram = new Diagram(SVG, {});
  diagram.build();
  diagram.update({ A: ["done", 12_345, ""] }, {});
  const text = diagram.el.querySelector(".pf-visits text"), rect = diagram.el.querySelector(".pf-visits rect");
  assert.deepEqual([text.textContent, Number(rect.getAttribute("x")) + Number(rect.getAttribute("width")), diagram.size], ["×12k", 76, { width: 300, height: 100 }]);
});

test("flows are tabs that arrow keys choose", async (t) => {
  await show({ diagrams: [{ name: "one", svg: SVG }, { name: "two", svg: SVG }] });
  t.after(end);
  const tabs = [...el.querySelectorAll(".pf-flow-tabs [role=tab]")];
  tabs[0].focus();
  assert.ok(press(tabs[0], "ArrowRight"));
  assert.deepEqual(tabs.map((tab) => [tab.getAttribute("aria-selected"), tab.tabIndex]), [["false", -1], ["true", 0]]);
  assert.deepEqual([document.activeElement, model.sent], [tabs[1], []]);
});

test("the tabs below are one stop, and control their panel", async (t) => {
  await show();
  t.after(end);
  const tabs = [...el.querySelectorAll(".pf-panel-tabs [role=tab]")], body = el.querySelector("[role=tabpanel]"), panel = body.parentElement;
  assert.deepEqual([panel.hidden, tabs.map((tab) => tab.getAttribute("aria-selected")).join()], [true, "false,false,false"]);
  tabs[0].click();
  assert.deepEqual([panel.hidden, model.sent, tabs[0].getAttribute("aria-expanded")], [false, [], "true"]);
  assert.deepEqual(tabs.map((tab) => [tab.textContent, tab.tabIndex, tab.getAttribute("aria-controls")]),
    [["Diff", 0, body.id], ["Store", -1, body.id], ["Events", -1, body.id]]);
  tabs[0].focus();
  press(tabs[0], "ArrowLeft");
  assert.deepEqual([document.activeElement, model.sent], [tabs[2], [{ do: "tab", name: "events" }]]);
  assert.equal(body.children.length, 2);
  tabs[0].click();
  assert.deepEqual([panel.hidden, tabs[0].getAttribute("aria-selected")], [true, "false"]);
});

test("a search keeps the rows with its text", async (t) => {
  await show();
  t.after(end);
  press(el.querySelector(".pf-run-view"), "/");
  const find = el.querySelector(".pf-find");
  assert.equal(document.activeElement, find);
  find.value = "nothing";
  find.dispatchEvent(new window.Event("input"));
  assert.equal(el.querySelector(".pf-note").textContent, "Nothing has this text.");
  assert.deepEqual(rowsWith([["a", "B"], ["c"]], "b"), [["a", "B"]]);
});

test("letters steer live runs, and only the past of those that are over", async (t) => {
  await show();
  t.after(end);
  const root = el.querySelector(".pf-run-view");
  for (const key of [" ", "n", "s", "ArrowLeft", "Home", "q"]) press(root, key);
  assert.deepEqual(model.sent, [{ do: "pause" }, { do: "step" }, { do: "stop" }, { do: "cursor", by: -1 }, { do: "cursor", step: 0 }]);
  model.sent.length = 0;
  model.set("header", { ...STRIP, status: "done", counts: { done: 1 }, seconds: 2 });
  for (const key of [" ", "n", "s", "End", "d"]) press(root, key);
  assert.deepEqual([model.sent, el.querySelector(".pf-facts").textContent], [[{ do: "live" }], "3 steps  ·  2.0 s"]);
});

test("a menu has the focus while it is open, and gives it back", async (t) => {
  await show();
  t.after(end);
  const more = named("More");
  more.focus();
  press(more, "ArrowDown");
  assert.deepEqual([document.activeElement.textContent, more.getAttribute("aria-expanded")], ["Export HTML", "true"]);
  press(document.activeElement, "ArrowUp");
  assert.equal(document.activeElement.textContent, "Events");
  press(document.activeElement, "s");
  press(document.activeElement, "Escape");
  assert.deepEqual([document.activeElement, model.sent], [more, []]);
});

test("an answer goes to its question, which stays the same card while it is refused", async (t) => {
  const ask = { ask: 5, question: "How many?", schema: { n: "int", sure: "bool" }, refused: "" };
  await show({ lanes: [{ ...LANE, asks: [ask] }] });
  t.after(end);
  const form = el.querySelector("form"), [n, sure] = form.querySelectorAll("input");
  assert.deepEqual([n.type, sure.type], ["number", "checkbox"]);
  Object.assign(n, { value: "4" });
  sure.checked = true;
  form.dispatchEvent(new window.Event("submit", { cancelable: true }));
  assert.deepEqual(model.sent, [{ do: "answer", run: 0, ask: 5, value: { n: "4", sure: true } }]);
  model.set("lanes", [{ ...LANE, asks: [{ ...ask, refused: "at most 3" }] }]);
  assert.deepEqual([el.querySelector("form") === form, form.querySelector(".pf-refused").textContent], [true, "at most 3"]);
  assert.deepEqual([leftText(9), leftText(65)], ["9 s left", "1:05 min left"]);
});

test("an error shows the user's last call first, and copies the whole traceback", async (t) => {
  const error = { node: "A", run: "r", type: "ValueError", text: "bad", cause: "KeyError 'k'", inputs: [["n", "int", "4"]], trace: ["cell:2  in deep", "cell:1  in exec"] };
  await show({ lanes: [{ ...LANE, status: "failed", error }] });
  t.after(end);
  const card = el.querySelector(".pf-error-card");
  assert.deepEqual([card.querySelector("pre").textContent, [...card.querySelectorAll("dd")].map((dd) => dd.textContent)],
    ["cell:2  in deep\ncell:1  in exec", ["A", "KeyError 'k'", "4  (int)"]]);
  named("Copy traceback").click();
  assert.deepEqual(model.sent, [{ do: "traceback", run: 0 }]);
  model.set("lanes", [{ ...LANE, status: "failed", error, lines: [] }]);
  assert.equal(el.querySelector(".pf-error-card"), card);
});

test("lines that stay are the same elements, and a node is named where it begins", () => {
  const body = document.createElement("div"), a = ["print", "a\n", "A"], b = ["log", "b", "A"], c = ["token", "c", ""];
  drawLines(body, [], [a, b]);
  assert.deepEqual([...body.children].map((line) => line.classList.contains("pf-begins")), [true, false]);
  const second = body.children[1];
  drawLines(body, [a, b], [b, c]);
  assert.deepEqual([body.children[0] === second, [...body.children].map((line) => line.className)], [true, ["pf-line pf-log pf-begins", "pf-line pf-token"]]);
  assert.deepEqual([1, 6, 7].map(sizeOfLanes), ["one", "few", "rows"]);
});

test("nodes that speak at the same time have a column each, and what goes on stays the same element", () => {
  const a = ["print", "a", "A"], b = ["token", "b", "B", 3, 0], c = ["token", "c", "C", 3, 1], d = ["print", "d", "D"];
  assert.deepEqual(partsOfLines([a, b, c, d]).map(({ key, columns }) => [key, columns]), [["before 3", [[a]]], ["group 3", [[b], [c]]], ["last", [[d]]]]);
  const body = document.createElement("div"), lines = linesOf(body);
  lines.draw([a, b, c]);
  const group = body.children[1], text = group.children[1].querySelector(".pf-line-text").firstChild;
  lines.draw([b, ["token", "c and more", "C", 3, 1], d]);
  assert.deepEqual([body.children[0] === group, body.children.length, group.dataset.columns], [true, 2, "2"]);
  assert.deepEqual([group.children[1].querySelector(".pf-line-text").firstChild === text, text.data], [true, "c and more"]);
});

test("a picture is fitted while its labels are legible, else a part of it is shown", () => {
  const picture = { width: 1000, height: 100 };
  assert.deepEqual([fitOf(picture, { width: 900, height: 200 }), scaleOf(picture, { width: 900, height: 200 })], [0.9, 0.9]);
  assert.equal(scaleOf(picture, { width: 200, height: 200 }), LEAST);
  assert.deepEqual(clamped({ x: 990, y: -5, scale: 1 }, picture, { width: 200, height: 200 }), { x: 800, y: -50, scale: 1 });
  const place = clamped(centred({ x: 500, y: 50 }, 1, { width: 200, height: 100 }), picture, { width: 200, height: 100 });
  assert.deepEqual([place, isSeen({ x: 500, y: 50 }, place, { width: 200, height: 100 }), isSeen({ x: 595, y: 50 }, place, { width: 200, height: 100 })],
    [{ x: 400, y: 0, scale: 1 }, true, false]);
  assert.deepEqual(zoomed({ x: 10, y: 20, scale: 1 }, 2, { x: 100, y: 40 }), { x: 60, y: 40, scale: 2 });
  assert.deepEqual([isBeside({ width: 200, height: 600 }, { width: 900, height: 300 }), isBeside(picture, { width: 900, height: 300 })], [true, false]);
});

test("a view opens compact, unless its author says more", () => {
  assert.deepEqual([capOf(500, 1000), capOf(500, 768), capOf(900, 768), capOf(10, 1000), capOf(500, 0)], [420, 338, 756, 240, 420]);
});

test("many runs are cells, some runs each above the most", () => {
  assert.deepEqual(partsOf("r3,d12"), [["running", 3], ["done", 12]]);
  assert.deepEqual(sizeOf([["done", 250]]), { total: 250, each: 1, columns: 100, lines: 3 });
  assert.deepEqual(sizeOf([["done", 3000]]), { total: 3000, each: 3, columns: 100, lines: 10 });
});

test("left and right look into the next run of the grid", async (t) => {
  await show({ status_grid: "r2,d1", header: { ...STRIP, runs: 3, counts: { running: 2, done: 1 } } });
  t.after(end);
  const grid = el.querySelector(".pf-heat");
  assert.equal(grid.querySelector("svg").getAttribute("aria-label"), "2 running, 1 done");
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "Escape"]) press(grid, key);
  assert.deepEqual(model.sent, [{ do: "pin", at: 0 }, { do: "pin", at: 1 }, { do: "pin", at: 2 }, { do: "focus", run: -1 }]);
});

test("a timeline ends with the last visit, or now while one goes on", () => {
  const spans = [[["A", 0, 10, false, 0]]];
  assert.deepEqual([endOf(spans, [[["|", 20, null, "try 2"]]], () => 99), endOf(spans, [[[">", 10, null, "A"]]], () => 99)], [20, 99]);
  assert.deepEqual(rowsOf([[["A", 0, 1, false, 1]], []], [[], [[">", 0, null, "A", 20]]]), { rows: [0, 26], height: 9, tall: 118 });
  assert.deepEqual([[">", 0, null, "A"], ["?", 0, 1500, "who?"], ["?", 0, null, "who?"], ["|", 0, null, "try 2"]].map(titleOf),
    ["A, going on", "who? (1.5 s)", "who?", "try 2"]);
});

test("a node has the colour that the kernel numbers, and from the thirteenth on a pattern", async (t) => {
  const numbers = Object.fromEntries(["A", "B", "C"].map((name, k) => [name, k * 12 + 2]));
  await show({ colours: numbers, spans: [[["A", 0, 5, false, 0], ["B", 5, 10, false, 0], ["C", 10, 15, true, 0], ["D", 15, 16, false, 0]]] });
  t.after(end);
  assert.deepEqual([...el.querySelectorAll(".pf-bar")].map((bar) => bar.getAttribute("class")), ["pf-bar pf-bar-2", "pf-bar pf-bar-2", "pf-bar pf-bar-failed", "pf-bar pf-bar-3"]);
  assert.equal(el.querySelectorAll(".pf-bar-lines").length, 1);
  assert.deepEqual([...el.querySelectorAll(".pf-bar-words")].map((words) => words.textContent), ["A", "B", "✗C", "D"]);
  assert.deepEqual([...el.querySelectorAll(".pf-legend .pf-swatch")].map((swatch) => swatch.className),
    ["pf-swatch pf-swatch-2", "pf-swatch pf-swatch-3", "pf-swatch pf-swatch-2 pf-pattern-1", "pf-swatch pf-swatch-2 pf-pattern-2"]);
  const bar = { x: 0, y: 0, width: 20, height: 10 };
  assert.deepEqual([11, 12, 24, 48].map((number) => patternPath(number, bar)), ["", "M0.0 5.0h20.0", "M4.0 0.0v10.0M12.0 0.0v10.0", ""]);
  assert.deepEqual(swatchClasses(47), ["pf-swatch-11", "pf-pattern-3"]);
});

test("each state of the grid has a shape of its own, not only a colour", async (t) => {
  const coded = "r1,d1,f1,c1,a1,w1,p1";
  await show({ status_grid: coded, header: { ...STRIP, runs: 7, counts: {} } });
  t.after(end);
  const shapes = [...el.querySelectorAll(".pf-heat-cells")].map((path) => path.getAttribute("d").replace(/^M\d+ \d+/, ""));
  assert.equal(new Set(shapes).size, 7);
});

test("a row's visits are one path for each colour", () => {
  const paths = barsOf([["A", 0, 50, false, 0], ["B", 50, 100, true, 0], ["A", 100, 100, false, 0]], 0, 100, () => 2);
  assert.deepEqual(paths, { "pf-bar-2": "M0.0 1h49.4v8h-49.4zM100.0 1h1.0v8h-1.0z", "pf-bar-failed": "M50.0 1h49.4v8h-49.4z" });
});

test("the strip's numbers are those of the kernel, its time goes on by the page's clock", () => {
  assert.deepEqual(factsOf({ most: 20, steps: 4, progress: [1, 3], tokens: 1500, cost: 0.2 }, 61), ["step 4/20", "1 of 3", "1:01", "1.5k tokens", "$0.2"]);
  assert.deepEqual([factsOf({ steps: 1, seconds: 2 }, 61), factsOf({}, null)], [["1 step", "2.0 s"], []]);
  assert.deepEqual([ageOf(10, 12_500), ageOf(20, 12_500), ageOf(null, 1)], [2500, 0, 0]);
});

test("the past shows no buttons of now", async (t) => {
  await show({ lanes: [LANE, { ...LANE, key: 2, name: "other" }], cursor: { live: false, at: 1, of: 3, ms: 5, text: "A" }, spans: TWICE });
  t.after(end);
  assert.deepEqual([el.querySelector(".pf-lane .pf-small").hidden, el.querySelector(".pf-run-view").dataset.past], [true, "true"]);
  assert.equal(el.querySelector(".pf-needle").style.left, "50%");
  model.set("cursor", TRAITS.cursor);
  assert.equal(el.querySelector(".pf-lane .pf-small").hidden, false);
});

test("bars and marks of one message are drawn once", async (t) => {
  await show({ spans: TWICE });
  t.after(end);
  const before = el.querySelector(".pf-timeline-frame");
  model.set("spans", [[["A", 0, 10, false, 0], ["B", 10, 30, true, 0]]]);
  model.set("marks", [[["?", 5, 8, "who?"]]]);
  assert.equal(el.querySelector(".pf-timeline-frame"), before);
  await Promise.resolve();
  assert.deepEqual([el.querySelectorAll(".pf-bar").length, el.querySelectorAll(".pf-mark-wait").length], [2, 1]);
});

test("a view whose kernel went says so, and steers nothing", async (t) => {
  await show();
  t.after(end);
  model.comm_live = false;
  model.hear("comm_live_update");
  assert.ok(el.querySelector(".pf-facts").textContent.endsWith("kernel gone"));
  assert.deepEqual([named("Pause").hidden, named("More").parentElement.hidden], [true, true]);
  press(el.querySelector(".pf-run-view"), "s");
  assert.deepEqual(model.sent, []);
});

test("a view that is closed listens no more", async () => {
  await show();
  end();
  assert.equal(model.listeners(), 0);
});

test("a question and a failure are told with their text", async (t) => {
  await show();
  t.after(end);
  const alert = el.querySelector("[role=alert]");
  assert.deepEqual([el.querySelector(".pf-spoken[role=status]").textContent, alert.textContent], ["research: 1 running", ""]);
  model.set("lanes", [{ ...LANE, status: "asking", asks: [{ ask: 1, question: "Publish?" }] }]);
  assert.equal(alert.textContent, "research asks: Publish?");
});

test("a summary that is too long for its node is cut, and whole in the title", () => {
  const diagram = new Diagram(SVG, {}), long = "found three sources about the sea and one about the wind";
  diagram.build();
  diagram.update({ A: ["done", 1, long] }, {});
  const caption = diagram.el.querySelector(".pf-caption").textContent;
  assert.ok(caption.endsWith("…") && long.startsWith(caption.slice(0, -1)));
  assert.equal(diagram.el.querySelector(".pf-node > title").textContent, long);
});

test("the strip of what waits stands only while something does, and counts by itself", async (t) => {
  const wait = ["write", "try 2 of 3 in", 4000, "left", "(TimeoutError)", 1, "retry"];
  await show({ pending: [wait, ["", "limiter 10/min, next in", 1200, "left", "", 812, "limiter"]] });
  t.after(end);
  const strip = el.querySelector(".pf-pending"), texts = () => [...strip.querySelectorAll("li")].map((item) => item.textContent);
  assert.match(texts()[0], /^write try 2 of 3 in (3\.\d|4\.0) s \(TimeoutError\)$/);
  assert.match(texts()[1], /^812 × limiter 10\/min, next in (0\.\d|1\.[012]) s$/);
  const [first] = strip.querySelectorAll("li");
  model.set("pending", [wait]);
  assert.deepEqual([strip.hidden, texts().length, strip.querySelector("li") === first, model.sent], [false, 1, true, []]);
  model.set("header", { ...STRIP, status: "done" });
  model.set("pending", []);
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual([strip.hidden, texts()], [true, []]);
});

test("a wait's time is what is left, how long it lasts, or a clock for a question", () => {
  const at = (ms, mode) => ["n", "", ms, mode, "", 1, "lock"];
  assert.deepEqual(
    [timeOf(at(5_250, "left"), 1_000), timeOf(at(61_500, "left"), 1_000), timeOf(at(900, "left"), 1_000), timeOf(at(1_000, "for"), 42_700)],
    [" 4.3 s", " 1:00", " now", " 41 s"],
  );
  assert.deepEqual([timeOf(at(1_000, "clock"), 42_700), timeOf(at(null, ""), 9)], [" 00:41", ""]);
});

test("a store is chosen in its tab, from the box of its flow, and from the way to inner runs", async (t) => {
  const group = '<g class="pf-group pf-private" data-node="write"><g class="pf-title"><rect/><text>write</text></g></g>\n</svg>';
  const stores = [["*", "of the step that is shown"], ["", "of report"], ["report/write#1", "private: report/write#1"]];
  await show({
    diagrams: [{ name: "report", svg: SVG.replace("</svg>", group) }], header: { ...STRIP, crumbs: ["report", "reader[1]"] },
    tab_content: { tab: "store", rows: [["str", "n", "'1'", ""]], stores, place: "*" },
  });
  t.after(end);
  const field = el.querySelector(".pf-store-field");
  el.querySelector(".pf-title text").dispatchEvent(new window.MouseEvent("click", { bubbles: true, cancelable: true }));
  assert.deepEqual([model.sent, el.querySelector(".pf-panel").hidden], [[{ do: "store", node: "write", flow: 0 }], false]);
  assert.deepEqual([[...field.options].map((option) => option.textContent), field.value, field.closest(".pf-stores").hidden], [stores.map(([, words]) => words), "*", false]);
  field.value = "";
  field.dispatchEvent(new window.Event("change"));
  assert.deepEqual(model.sent.at(-1), { do: "store", place: "" });
  model.set("tab_content", { tab: "diff", rows: [] });
  assert.ok(field.closest(".pf-stores").hidden);
  named("store").click();
  assert.deepEqual(model.sent.at(-1), { do: "tab", name: "store" });
});
