import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { basesOf, isVersioned } from "../../pocketflex_nb/notebook/widgets/store_inspector/history.js";
import inspector from "../../pocketflex_nb/notebook/widgets/store_inspector/store_inspector.js";
import { messageOf, walked } from "../../pocketflex_nb/notebook/widgets/store_inspector/tree_rows.js";
import { curveOf } from "../../pocketflex_nb/notebook/widgets/store_inspector/watched.js";
import { modelOf, openPage, press } from "./page.js";

const HEAD = {
  title: "run", keys: 2, version: 7, live: true, at: 3, of: 3, place: "Plan", changed: false, filter: "", others: ["other"], base: "before", form: "tree",
  note: "", why: "",
};
const ROWS = [[10, 0, "notes", "list", "2 items", true, false, 4, "Plan", "~"], [11, 0, "n", "int", "1", false, false, 5, "Count", ""]];
const DETAIL = { path: 'store["n"]', row: 1, type: "int", text: "1", history: [["v5", "Count", "1"]], edit: "1" };

let el;
let model;

beforeEach(() => openPage());

function show(traits = {}) {
  model = modelOf({ revision: 0, head: HEAD, rows: ROWS, text: "{}", detail: { path: "", row: -1 }, diff: [], watched: [], static: "", ...traits });
  el = document.createElement("div");
  document.body.append(el);
  return inspector.render({ model, el });
}

function named(text) {
  return [...el.querySelectorAll("button")].find((button) => button.textContent === text);
}

test("keys are items of a tree, which say whether they are open", () => {
  show();
  const items = [...el.querySelectorAll("[role=treeitem]")];
  assert.deepEqual(items.map((item) => [item.getAttribute("aria-level"), item.getAttribute("aria-expanded")]), [["1", "false"], ["1", null]]);
  assert.equal(items[0].querySelector(".pf-store-sign").getAttribute("aria-label"), "changed");
  assert.equal(el.querySelector(".pf-store-facts").textContent, "2 keys · version 7");
});

test("arrow keys walk the tree, open and choose", () => {
  show();
  const tree = el.querySelector("[role=tree]");
  tree.focus();
  for (const key of ["ArrowRight", "ArrowDown", "ArrowDown", "Enter", "[", "x"]) press(tree, key);
  assert.deepEqual(model.sent, [{ do: "toggle", row: 10 }, { do: "choose", row: 11 }, { do: "step", by: -1 }]);
  assert.equal(tree.getAttribute("aria-activedescendant"), tree.children[1].id);
  press(tree, "/");
  assert.equal(document.activeElement, el.querySelector(".pf-store-find"));
});

test("the ends of the tree are walls", () => {
  assert.deepEqual([walked("ArrowUp", 0, 3), walked("ArrowDown", 2, 3), walked("ArrowDown", 0, 3), walked("End", 0, 3), walked("Enter", 0, 3)], [0, 2, 1, 2, undefined]);
  assert.deepEqual([messageOf("ArrowLeft", [1, 0, "", "list", "", true, true]), messageOf("ArrowLeft", ROWS[0]), messageOf(" ", [2, 0, "", "more"])],
    [{ do: "toggle", row: 1 }, null, { do: "more", row: 2 }]);
});

test("a row that changed is marked, and only that", () => {
  show();
  model.set("rows", [ROWS[0], [11, 0, "n", "int", "2", false, false, 6, "Count", ""]]);
  assert.deepEqual([...el.querySelectorAll(".pf-store-row")].map((row) => row.classList.contains("pf-store-changed")), [false, true]);
});

test("a store without versions has no time bar, and says why nothing is shown", () => {
  show({ head: { ...HEAD, version: null, filter: "x", others: [] }, rows: [] });
  assert.deepEqual([el.querySelector(".pf-store-slider").hidden, el.querySelector(".pf-store-empty").textContent], [true, "Nothing fits the filter."]);
  assert.deepEqual([isVersioned({ version: 0 }), basesOf({ version: null, others: ["b"] })], [true, [["before", "nothing"], ["b", "b"]]]);
});

test("a value is edited in place; its tools come back afterwards", () => {
  show({ detail: DETAIL });
  assert.equal(el.querySelector(".pf-store-history").textContent, "v5Count1");
  named("Edit").click();
  const field = el.querySelector("textarea");
  assert.deepEqual([field.value, el.querySelector("[role=toolbar]").hidden, el.querySelector(".pf-store-text")], ["1", true, null]);
  field.value = "9";
  model.set("detail", { ...DETAIL, text: "2" });
  assert.equal(el.querySelector("textarea"), field);
  el.querySelector("form").dispatchEvent(new window.Event("submit", { cancelable: true }));
  assert.deepEqual([model.sent, el.querySelector("textarea"), el.querySelector("[role=toolbar]").hidden], [[{ do: "edit", text: "9" }], null, false]);
});

test("a picture is shown only as one that browsers read without a script", () => {
  show({ detail: { ...DETAIL, image: "data:image/png;base64,AA" } });
  assert.equal(el.querySelector("img").src, "data:image/png;base64,AA");
  model.set("detail", { ...DETAIL, image: "data:image/svg+xml,<svg/>" });
  assert.equal(el.querySelector("img").src, "");
});

test("changed words are told by tags, and a value that is gone has no text", () => {
  show({ detail: { ...DETAIL, words: [["-", "a"], ["+", "b"], ["", "c"]] } });
  assert.deepEqual([...el.querySelector(".pf-store-words").children].map((word) => word.tagName), ["DEL", "INS", "SPAN"]);
  model.set("detail", { ...DETAIL, gone: true });
  assert.deepEqual([el.querySelector(".pf-store-text"), el.querySelector(".pf-store-path").textContent], [null, 'store["n"]not there any more']);
});

test("a break that is refused keeps its reason, and is not sent", () => {
  show({ detail: { ...DETAIL, refusal: "no run writes here" } });
  named("Break when changed").click();
  assert.deepEqual([model.sent, named("Break when changed").title], [[], "no run writes here"]);
});

test("watched values keep the focus while they change", () => {
  show({ watched: [["n", "1", "Count", 5, false, [1, 3, 2]]] });
  named("n").focus();
  model.set("watched", [["n", "2", "Count", 6, false, [1, 3, 2, 4]]]);
  assert.equal(document.activeElement.textContent, "n");
  assert.ok(el.querySelector(".pf-store-pin").classList.contains("pf-store-changed"));
  assert.equal(curveOf("n", [1, 3, 2]).getAttribute("aria-label"), "n: from 1 to 2, between 1 and 3");
  assert.equal(curveOf("n", [5, 5]).firstChild.getAttribute("points"), "2.0,12.0 70.0,12.0");
});

test("a paused run says why, and goes on", () => {
  show({ head: { ...HEAD, why: "n changed" } });
  assert.equal(el.querySelector(".pf-store-held").hidden, false);
  named("Resume").click();
  assert.deepEqual([model.sent, document.activeElement.getAttribute("role")], [[{ do: "resume" }], "tree"]);
});

test("what differs stands at the side", () => {
  show({ diff: [["+", "n", "1"]] });
  assert.deepEqual([el.querySelector(".pf-store-diff").textContent, el.querySelector(".pf-store-middle").dataset.side], ["Changed in this step+n1", "true"]);
});

test("an inspector that is closed listens no more", () => {
  const end = show();
  end();
  assert.equal(model.listeners(), 0);
});
