import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import view from "../../pocketflex_nb/notebook/widgets/agents_view/agents_view.js";
import { messageOf } from "../../pocketflex_nb/notebook/widgets/agents_view/tree.js";
import { modelOf, openPage, press } from "./page.js";

const HEAD = { title: "office", strategy: "one_for_one", alive: true, children: 1, ended: "", zombies: 0 };
const ROW = ["/clerk", 0, "clerk", "running", "worker", 0, 2, 5, "", "running", 0, false, false, false, 1];

beforeEach(() => openPage());

function shown(traits) {
  const model = modelOf({ icons: {}, static: "", head: HEAD, rows: [ROW], detail: { name: "" }, ...traits });
  const el = document.createElement("div");
  document.body.append(el);
  return { model, el, end: view.render({ model, el }) };
}

/** The row with some of its places changed. */
function rowWith(changes) {
  return Object.assign([...ROW], changes);
}

test("a tree has a row for each child, with its buttons", () => {
  const { model, el } = shown({ kind: "tree" });
  const row = el.querySelector("[role=treeitem]");
  assert.equal(row.getAttribute("aria-level"), "1");
  assert.equal(row.querySelector(".pf-agents-numbers").textContent, "5 handled · 2 waiting");
  for (const button of row.querySelectorAll("button")) button.click();
  assert.deepEqual(model.sent.map((message) => message.do), ["fold", "choose", "kill", "restart"]);
  assert.equal(el.querySelector(".pf-agents-facts").textContent, "one_for_one · 1 child");
});

test("an unchanged row stays as it is, a changed one keeps its element and focus", () => {
  const { model, el } = shown({ kind: "tree" });
  const row = el.querySelector(".pf-agents-row");
  el.querySelector("[data-act=choose]").focus();
  model.set("rows", [rowWith({ 5: 1 })]);
  assert.equal(el.querySelector(".pf-agents-row"), row);
  assert.ok(row.classList.contains("pf-agents-fresh"));
  assert.equal(document.activeElement.getAttribute("data-act"), "choose");
  assert.equal(row.querySelector(".pf-agents-restarts").textContent, "1 restart");
});

test("a supervisor says whether it is folded, and no child does", () => {
  const { el } = shown({ kind: "tree", rows: [rowWith({ 0: "/s", 2: "s", 11: true, 12: true }), ROW] });
  assert.deepEqual([...el.querySelectorAll("[role=treeitem]")].map((row) => row.getAttribute("aria-expanded")), ["false", null]);
});

test("arrow keys walk the rows and fold; buttons keep their keys", () => {
  const { model, el } = shown({ kind: "tree", rows: [rowWith({ 0: "/s", 2: "s", 11: true }), ROW] });
  const [first, second] = el.querySelectorAll("[role=treeitem]");
  assert.deepEqual([first.tabIndex, second.tabIndex], [0, -1]);
  first.focus();
  for (const key of ["ArrowLeft", "ArrowDown", "Enter", "ArrowLeft"]) press(document.activeElement, key);
  assert.deepEqual([document.activeElement, second.tabIndex], [second, 0]);
  assert.equal(press(second.querySelector("[data-act=kill]"), "Enter"), false);
  assert.deepEqual(model.sent, [{ do: "fold", name: "/s" }, { do: "choose", name: "/clerk" }]);
  model.set("rows", [rowWith({ 0: "/s", 2: "s", 11: true, 12: true }), rowWith({ 7: 6 })]);
  assert.deepEqual([document.activeElement, second.tabIndex, messageOf("Enter", rowWith({ 3: "more" }))], [second, 0, null]);
});

test("a tree without children says so until one comes", () => {
  const { model, el } = shown({ kind: "tree", rows: [] });
  assert.equal(el.querySelector(".pf-agents-tree").textContent, "No children.");
  model.set("rows", [ROW]);
  assert.equal(el.querySelector(".pf-agents-empty"), null);
});

test("the chosen child's state and messages are shown", () => {
  const { model, el } = shown({ kind: "tree" });
  assert.equal(el.querySelector(".pf-agents-detail").hidden, true);
  model.set("detail", { name: "/clerk", text: "{n: 1}", changes: [], messages: ["cast add"] });
  assert.deepEqual([...el.querySelector(".pf-agents-detail").children].map((part) => part.textContent), ["State of clerk", "{n: 1}", "Last messages", "cast add"]);
});

test("a sequence is the kernel's picture, and its kinds are a choice", () => {
  const { model, el } = shown({ kind: "sequence", head: { events: 1, kinds: ["cast"], kind: "cast" }, picture: '<svg xmlns="http://www.w3.org/2000/svg" id="p"/>' });
  const choose = el.querySelector("select");
  assert.deepEqual([[...choose.options].map((option) => option.value), choose.value], [["", "cast"], "cast"]);
  assert.ok(el.querySelector(".pf-agents-picture #p"));
  choose.value = "";
  choose.dispatchEvent(new window.Event("change"));
  assert.deepEqual(model.sent, [{ do: "kind", kind: "" }]);
});

test("a view that is closed listens no more", () => {
  for (const kind of ["tree", "sequence"]) {
    const { model, end } = shown({ kind, head: { ...HEAD, events: 0, kinds: [], kind: "" }, picture: "<svg/>" });
    end();
    assert.equal(model.listeners(), 0);
  }
});

test("a tree is one stop of Tab: Right of a row stand its buttons, Left of it the row above it", () => {
  const { el } = shown({ kind: "tree", rows: [rowWith({ 0: "/s", 2: "s", 11: true }), rowWith({ 1: 1 })] });
  const [top, leaf] = el.querySelectorAll("[role=treeitem]");
  assert.equal([...el.querySelectorAll(".pf-agents-tree button, [role=treeitem]")].filter((each) => each.tabIndex === 0).length, 1);
  leaf.focus();
  const way = ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"].map((key) => {
    press(document.activeElement, key);
    return document.activeElement.getAttribute("data-act") ?? document.activeElement.getAttribute("data-child");
  });
  assert.deepEqual([way, document.activeElement], [["kill", "restart", "kill", "clerk", "s"], top]);
});
