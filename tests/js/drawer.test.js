import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { markdownOf } from "../../pocketflex_nb/notebook/widgets/base/js/markdown_view.js";
import { valueViewOf, walkValues } from "../../pocketflex_nb/notebook/widgets/base/js/value_view.js";
import { rowReached } from "../../pocketflex_nb/notebook/widgets/run_view/detail_tabs.js";
import { nodeHint } from "../../pocketflex_nb/notebook/widgets/run_view/diagram.js";
import { drawerOf } from "../../pocketflex_nb/notebook/widgets/run_view/drawer.js";
import { editsOf, forkFormOf } from "../../pocketflex_nb/notebook/widgets/run_view/fork_form.js";
import runView from "../../pocketflex_nb/notebook/widgets/run_view/run_view.js";
import { viewOf } from "../../pocketflex_nb/notebook/widgets/run_view/view.js";
import { factsOfVisit } from "../../pocketflex_nb/notebook/widgets/run_view/visit_card.js";
import { modelOf, openPage, press } from "./page.js";

const CARD = {
  run: 0, name: "night", node: "write", address: "f/write#2", visit: 2, of: 3, before: "f/write#1", after: "f/write#3", status: "done",
  seconds: 1.25, retries: 1, tokens: 812, cost: 0.004, why: "", action: "approved → publish", tries: [["1", "TimeoutError", "cell:4  in exec"], ["2", "ok", ""]],
  parts: [
    { part: "prep", name: "In (prep)", kind: "dict 2", text: "{...}", note: "", opens: true },
    { part: "exec", name: "Out (exec)", kind: "DataFrame 9x9", text: "", note: "no longer kept; this was its type", opens: false },
  ],
  changes: [["~", "draft", "412 → 655 characters", [[" ", "the "], ["-", "moon"], ["+", "sun"]]]], unchanged: "", said: [["print", "<b>hello</b>"]],
};
const REFUSED = { fork: "", code: "" };

let model;
let drawer;
let view;
let root;

beforeEach(() => {
  openPage();
  globalThis.window.Element.prototype.scrollIntoView ??= () => {};
  model = modelOf({ icons: {}, header: { status: "done" }, height: 500 });
  root = document.createElement("div");
  root.tabIndex = 0;
  document.body.append(root);
  view = viewOf(model, root);
  drawer = drawerOf(view);
  root.append(drawer.el);
});

const settled = () => new Promise((resolve) => { setTimeout(resolve, 5); });

/** Answer what was asked last, and give the question. */
async function answer(facts) {
  const asked = model.sent[model.sent.length - 1];
  model.hear("msg:custom", { drawer: { what: asked.what, ask: asked.ask, ...facts } });
  await settled();
  return asked;
}

async function opened(card = CARD, refused = REFUSED, from = () => null) {
  drawer.open({ node: "write", flow: 0 }, from);
  await answer({ card, refused, several: false });
}

function named(text) {
  return [...drawer.el.querySelectorAll("button")].find((button) => [button.textContent, button.getAttribute("aria-label")].includes(text));
}

test("a visit is asked for when it is clicked, and told with its values folded", async (t) => {
  t.after(drawer.end);
  drawer.open({ node: "write", flow: 0 }, () => null);
  assert.equal(drawer.el.hidden, true);
  const asked = await answer({ card: CARD, refused: REFUSED, several: true });

  assert.deepEqual([asked.do, asked.what, asked.node, asked.flow], ["drawer", "visit", "write", 0]);
  assert.equal(drawer.el.hidden, false);
  assert.equal(document.activeElement, drawer.el);
  assert.deepEqual(factsOfVisit(CARD), ["visit 2 of 3", "done", "1.3 s", "1 retry", "812 tok", "cost 0.004"]);
  assert.equal(drawer.el.querySelector(".pf-visit-run").textContent, "night");
  assert.equal(drawer.el.querySelector(".pf-visit-words-said").textContent, "<b>hello</b>");
  assert.deepEqual([...drawer.el.querySelectorAll("ins, del")].map((el) => [el.tagName, el.textContent]), [["DEL", "moon"], ["INS", "sun"]]);
  assert.equal(drawer.el.querySelectorAll(".pf-value-opener").length, 1);      // what is not kept does not open
  assert.equal(model.sent.length, 1);      // no value before it is asked for
});

test("what belongs to another page's question is left to it", async (t) => {
  t.after(drawer.end);
  drawer.open({ node: "write", flow: 0 }, () => null);
  model.hear("msg:custom", { drawer: { ask: "another-1", card: CARD, refused: REFUSED } });
  await settled();
  assert.equal(drawer.el.hidden, true);
});

test("arrows go over visits, and stop at the ends with the reason", async (t) => {
  t.after(drawer.end);
  await opened();
  assert.equal(press(drawer.el, "ArrowLeft"), true);
  const asked = await answer({ card: { ...CARD, address: "f/write#1", visit: 1, before: "" }, refused: REFUSED, several: false });
  assert.equal(asked.address, "f/write#1");
  const count = model.sent.length;
  press(drawer.el, "ArrowLeft");
  assert.equal(model.sent.length, count);
  assert.equal(named("Earlier visit").getAttribute("aria-disabled"), "true");
  assert.match(named("Earlier visit").title, /first visit/);
});

test("Escape closes and gives the focus back to where it came from", async (t) => {
  t.after(drawer.end);
  const node = document.createElement("button");
  root.append(node);
  await opened(CARD, REFUSED, () => node);
  assert.equal(press(drawer.el, "Escape"), true);
  assert.equal(drawer.el.hidden, true);
  assert.equal(document.activeElement, node);
  await opened(CARD, REFUSED, () => null);
  press(drawer.el, "Escape");
  assert.equal(document.activeElement, root);
});

test("a value is fetched when it is opened, page by page, and not again", async (t) => {
  t.after(drawer.end);
  await opened();
  const opener = drawer.el.querySelector(".pf-value-opener");
  opener.click();
  const asked = await answer({
    page: { kind: "dict 2", form: "tree", offset: 0, size: 150, more: 100, rows: [[0, "notes", "list 3", "[…]", true], [1, "n", "int", "1", false]] }, note: "", texts: false,
  });
  assert.deepEqual([asked.what, asked.part, asked.places, asked.offset], ["value", "prep", [], 0]);
  assert.match(named("More: 100 of 150 rows").textContent, /100 of 150/);
  drawer.el.querySelector(".pf-value-row .pf-value-opener").click();
  const inside = await answer({ page: { kind: "list 3", form: "text", offset: 0, size: 3, more: null, text: "abc" }, note: "", texts: false });
  assert.deepEqual(inside.places, [0]);
  const count = model.sent.length;
  opener.click();
  opener.click();
  assert.equal(model.sent.length, count);
});

test("a button that cannot be used stays reachable and says why", async (t) => {
  t.after(drawer.end);
  await opened(CARD, { fork: "This run has no journal.", code: "" });
  const button = named("Run from here");
  assert.deepEqual([button.getAttribute("aria-disabled"), button.disabled, button.title], ["true", false, "This run has no journal."]);
  const count = model.sent.length;
  button.click();
  await settled();
  assert.equal(model.sent.length, count);
  assert.equal(drawer.el.querySelector(".pf-drawer-said").textContent, "This run has no journal.");
});

test("run from here sends only what was edited", async (t) => {
  t.after(drawer.end);
  await opened();
  named("Run from here").click();
  await answer({ form: { at: 1, note: "", fields: [["topic", "str 3", "'sun'", "sun", true], ["n", "int", "1", "1", false], ["db", "Client", "<Client>", null, false]] } });
  const [topic, n] = drawer.el.querySelectorAll("textarea");
  assert.equal(document.activeElement, topic);
  assert.match(drawer.el.querySelector(".pf-fork-fixed").textContent, /stays as it was/);
  topic.value = "moon";
  assert.equal(n.value, "1");
  drawer.el.querySelector("form").dispatchEvent(new window.Event("submit", { cancelable: true }));
  const asked = await answer({ begun: "night-fork" });
  assert.deepEqual([asked.what, asked.address, asked.edits], ["fork", "f/write#2", [["topic", "moon", true]]]);
  assert.equal(drawer.el.querySelector("form"), null);
  assert.match(drawer.el.querySelector(".pf-drawer-said").textContent, /night-fork/);
});

test("a pinned visit stands beside another, with the differences", async (t) => {
  t.after(drawer.end);
  await opened();
  named("Pin").click();
  press(drawer.el, "ArrowRight");
  await answer({ card: { ...CARD, address: "f/write#3", visit: 3, after: "" }, refused: REFUSED, several: false });
  const asked = await answer({ differences: [["prep", "In (prep)", [["~", "n", "1 → 2"]], []], ["exec", "Out (exec)", [], []]] });
  assert.deepEqual([asked.what, asked.address, asked.with], ["differences", "f/write#3", { run: 0, address: "f/write#2" }]);
  assert.equal(drawer.el.querySelectorAll(".pf-drawer-card").length, 2);
  assert.match(drawer.el.querySelector(".pf-drawer-compared").textContent, /visit 2 to visit 3.*n1 → 2.*the same/);
});

test("without a kernel it says so", async (t) => {
  t.after(drawer.end);
  view.isGone = true;
  await drawer.open({ node: "write", flow: 0 }, () => null);
  assert.match(drawer.el.querySelector(".pf-drawer-said").textContent, /kernel is gone/);
});

test("only elements of the list are made of Markdown, and only web addresses become links", () => {
  const el = markdownOf([
    ["h1", {}, ["Title"]], ["script", { src: "x" }, ["alert(1)"]], ["p", { onclick: "alert(1)" }, ["<img src=x>"]],
    ["a", { href: "javascript:alert(1)" }, ["bad"]], ["a", { href: "https://example.org" }, ["good"]], ["ol", { start: "3" }, [["li", {}, ["c"]]]],
  ], "md");
  assert.equal(el.querySelector("script, img, h1"), null);
  assert.equal(el.querySelector("p").textContent, "<img src=x>");
  assert.equal(el.querySelector("p").hasAttribute("onclick"), false);
  const [bad, good] = el.querySelectorAll("a");
  assert.equal(bad.hasAttribute("href"), false);
  assert.deepEqual([good.getAttribute("href"), good.rel, good.target, good.title], ["https://example.org", "noopener noreferrer nofollow", "_blank", "https://example.org"]);
  assert.equal(el.querySelector("ol").getAttribute("start"), "3");
});

test("a long value is copied whole, a page at a time", async () => {
  const asked = [], copied = [];
  const pages = { 0: { text: "ab", more: 2 }, 2: { text: "cd", more: null } };
  const { el, show } = valueViewOf({
    name: "Out", drawn: () => {}, copy: async (text) => copied.push(text) > 0,
    fetch: async (what, _places, offset = 0) => {
      asked.push([what, offset]);
      return what === "copy" ? { page: pages[offset] } : { page: { kind: "str 4", form: "text", offset: 0, size: 4, more: null, text: "ab" }, texts: true };
    },
  });
  await show();
  [...el.querySelectorAll("button")].find((button) => button.textContent === "Copy").click();
  await settled();
  assert.deepEqual(copied, ["abcd"]);
  assert.deepEqual(asked, [["value", 0], ["copy", 0], ["copy", 2]]);
});

test("arrow keys go along the rows that open, which are one stop of Tab", () => {
  const list = document.createElement("div");
  document.body.append(list);
  const keep = walkValues(list);
  for (const name of ["a", "b"]) {
    const button = document.createElement("button");
    button.className = "pf-value-opener";
    button.tabIndex = -1;
    button.textContent = name;
    list.append(button);
  }
  keep();
  const [first, second] = list.children;
  assert.deepEqual([first.tabIndex, second.tabIndex], [0, -1]);
  first.focus();
  press(first, "ArrowDown");
  assert.equal(document.activeElement, second);
  assert.deepEqual([first.tabIndex, second.tabIndex], [-1, 0]);
});

test("what cannot be written is no edit", () => {
  assert.deepEqual(editsOf([["a", "", "", "1", false], ["b", "", "", null, false], ["c", "", "", "x", true]], ["2", null, "x"]), [["a", "2", false]]);
  assert.equal(forkFormOf({ at: 0, note: "", fields: [] }, () => {}, () => {}).first().textContent, "Start");
});

const SVG = [
  '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100" viewBox="0 0 300 100">',
  ...["A", "B"].map((name) => `<g class="pf-node" data-node="${name}" data-state="idle"><rect class="pf-shape" width="80"/><text class="pf-label" x="9" y="20">${name}</text></g>`),
  "</svg>",
].join("\n");

test("a press on a node, a bar, a block or a row of the diff opens its visit, by pointer and by key", async (t) => {
  const lane = { key: 1, name: "research", status: "done", at: [], steps: 3, seconds: 1, lines: [["print", "hello\n", "A"]], asks: [], error: null };
  const traits = {
    revision: 0, height: 400, icons: {}, static: "", header: { name: "r", status: "done", runs: 1, counts: { done: 1 }, steps: 3, problems: [], epoch: null },
    diagrams: [{ name: "r", svg: SVG }], states: { 0: { A: ["done", 2, ""] } }, edges: {}, lanes: [lane], focus: -1, status_grid: "",
    spans: [[["A", 0, 5, false, 0], ["B", 5, 10, false, 0]]], marks: [[["|", 2, null, "again", 0]]], cursor: { live: true, at: 2, of: 2, ms: 10, text: "B" },
    tabs: ["diff"], tab_content: { tab: "diff", rows: [["~", "n", "1 → 2"], ["+", "m", "3"]] },
  };
  model = modelOf(traits);
  model.comm_live = true;
  const page = document.createElement("div");
  document.body.append(page);
  const end = runView.render({ model, el: page });
  t.after(end);
  for (let n = 0; n < 8; n += 1) await settled();
  const asked = () => model.sent.filter((message) => message.do === "drawer").map(({ do: _do, what: _what, ask: _ask, ...about }) => about);
  const nodes = [...page.querySelectorAll(".pf-node")];

  assert.deepEqual(nodes.map((node) => node.getAttribute("tabindex")), ["0", "-1"]);
  assert.equal(nodes[0].getAttribute("aria-description"), "done, 2 visits: open its visits");
  nodes[0].dispatchEvent(new window.MouseEvent("click", { bubbles: true }));
  press(nodes[1], "Enter");
  assert.deepEqual(asked(), [{ node: "A", flow: 0 }, { node: "B", flow: 0 }]);
  assert.equal(press(nodes[0], "ArrowRight"), true);
  assert.equal(model.sent.some((message) => message.do === "cursor"), false);      // the arrow went to the next node, not to the time cursor

  const bars = [...page.querySelectorAll(".pf-bar")];
  bars[1].dispatchEvent(new window.MouseEvent("click", { bubbles: true }));
  press(bars[0], " ");
  assert.deepEqual(asked().slice(2), [{ run: 0, node: "B", ms: 5 }, { run: 0, node: "A", ms: 0 }]);

  page.querySelector(".pf-line-text").dispatchEvent(new window.MouseEvent("click", { bubbles: true }));
  assert.deepEqual(asked()[4], { run: 0, node: "A", text: "hello" });

  page.querySelector("[data-tab=diff]").click();
  const rows = [...page.querySelectorAll(".pf-row")];
  press(page.querySelector(".pf-panel-body"), "ArrowDown");
  assert.equal(document.activeElement, rows[0]);
  press(rows[0], "Enter");
  assert.deepEqual(asked()[5], { step: true });
});

test("a key leads along rows, and stops at their ends", () => {
  assert.deepEqual([rowReached("ArrowDown", -1, 3), rowReached("ArrowDown", 2, 3), rowReached("ArrowUp", 0, 3), rowReached("End", 0, 3)], [0, 2, 0, 2]);
  assert.deepEqual([rowReached("ArrowDown", -1, 0), rowReached("x", 0, 3)], [undefined, undefined]);
});

test("a node says what a press on it does", () => {
  assert.equal(nodeHint(["running", 1, "", 0]), "running, 1 visit: open its visits");
  assert.equal(nodeHint(["idle", 0, ""]), "idle: open its visits");
  assert.match(nodeHint(["done", 1, "", 12]), /open the runs that it began; v opens its visits/);
});
