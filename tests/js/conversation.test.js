import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { conversationOf, placeText } from "../../pocketflex_nb/notebook/widgets/run_view/conversation.js";
import { labelOf, searchedIn } from "../../pocketflex_nb/notebook/widgets/run_view/conversation_turn.js";
import { viewOf } from "../../pocketflex_nb/notebook/widgets/run_view/view.js";
import { modelOf, openPage, press } from "./page.js";

const SYSTEM = { key: "1.0", side: "system", role: "system", where: "", text: "You research.", facts: "", size: 400 };
const USER = { key: "1.1", side: "user", role: "user", where: "ask#1", text: "<b>Tides?</b>", facts: "" };
const AGENT = {
  key: "1.2", side: "assistant", role: "agent", where: "think#1", text: "I look.", facts: "0.8 s · 41 tok",
  calls: [["search(q='tides')", "list 3", "done", "0.2 s"], ["read()", "LookupError: gone", "failed", ""]],
};
const PART = { rows: [SYSTEM, USER, AGENT], first: 0, of: 3, totals: "3 messages", scope: "all", scopes: [["all", "whole run"], ["node:think", "node think"]], opened: {}, is_newest: true };

let talk;
let model;
let view;

beforeEach(() => openPage());

function show(part = {}) {
  model = modelOf({ header: { status: "done" }, conversation: { ...PART, ...part } });
  const root = document.createElement("div");
  document.body.append(root);
  view = viewOf(model, root);
  talk = conversationOf(view);
  root.append(talk.el);
  talk.draw("");
}

function redraw(part) {
  model.set("conversation", { ...model.get("conversation"), ...part });
  talk.draw("");
}

const turns = () => [...talk.el.querySelectorAll(".pf-turn")];
const texts = (selector) => [...talk.el.querySelectorAll(selector)].map((el) => el.textContent);

test("a chat has roles by word and side, and no text becomes markup", (t) => {
  show();
  t.after(() => talk.end());
  assert.deepEqual(turns().map((turn) => [turn.dataset.side, turn.querySelector(".pf-turn-role").textContent]),
    [["system", "system"], ["user", "user"], ["assistant", "agent"]]);
  assert.deepEqual([texts(".pf-turn-text")[1], talk.el.querySelectorAll("b").length], ["<b>Tides?</b>", 0]);
  assert.deepEqual(turns().map((turn) => [turn.getAttribute("aria-posinset"), turn.getAttribute("aria-setsize")]), [["1", "3"], ["2", "3"], ["3", "3"]]);
  assert.equal(talk.el.querySelector(".pf-talk-feed").getAttribute("role"), "feed");
  assert.equal(turns()[2].querySelector(".pf-turn-facts").textContent, "0.8 s · 41 tok");
});

test("a call is one line, which asks the kernel for its pages, and shows them", (t) => {
  show();
  t.after(() => talk.end());
  const [search, read] = talk.el.querySelectorAll(".pf-call-head");
  assert.deepEqual([read.parentNode.dataset.status, read.querySelector(".pf-call-gave").textContent], ["failed", "→ ✗ LookupError: gone"]);
  search.focus();
  search.click();
  assert.deepEqual(model.sent, [{ do: "talk", open: "1.2:0" }]);
  redraw({ opened: { "1.2:0": ['{"q": "tides"}', "[1, 2, 3]"], "1.2:1": ["", "gone"] } });
  assert.deepEqual(texts(".pf-call-name"), ["Arguments", "Result", "Error"]);
  assert.deepEqual(texts(".pf-call-page"), ['{"q": "tides"}', "[1, 2, 3]", "gone"]);
  assert.deepEqual([document.activeElement.dataset.open, document.activeElement.getAttribute("aria-expanded")], ["1.2:0", "true"]);
});

test("system prompts and long texts are folded until they are opened", (t) => {
  show({ rows: [SYSTEM, { ...USER, size: 12_000 }] });
  t.after(() => talk.end());
  assert.deepEqual(texts(".pf-turn-more"), ["Show all", "Show all 12,000 characters"]);
  assert.ok(talk.el.querySelector(".pf-turn-text").classList.contains("pf-folded"));
  redraw({ opened: { "1.0": ["You research.\nBriefly."] } });
  assert.deepEqual([texts(".pf-turn-text")[0], texts(".pf-turn-more")[0]], ["You research.\nBriefly.", "Fold"]);
  assert.ok(!talk.el.querySelector(".pf-turn-text").classList.contains("pf-folded"));
});

test("turns that did not change are the same elements, and a stream has a cursor until it ends", (t) => {
  show({ rows: [USER, { ...AGENT, calls: undefined, state: "streaming", facts: "" }], of: 2 });
  t.after(() => talk.end());
  const [user, agent] = turns();
  assert.deepEqual([agent.querySelectorAll(".pf-turn-cursor").length, agent.getAttribute("aria-busy")], [1, "true"]);
  redraw({ rows: [USER, AGENT] });
  assert.deepEqual([turns()[0] === user, turns()[1] === agent, agent.querySelectorAll(".pf-turn-cursor").length], [true, true, 0]);
  redraw({ rows: [AGENT] });
  assert.deepEqual(turns(), [agent]);
});

test("arrow keys go through turns and folds, and do not leave the list", (t) => {
  show();
  t.after(() => talk.end());
  const stops = [...talk.el.querySelectorAll(".pf-turn, .pf-turn button")];
  assert.deepEqual(stops.filter((stop) => stop.tabIndex === 0), [turns()[2]]);
  turns()[0].focus();
  assert.ok(press(document.activeElement, "ArrowUp"));
  assert.equal(document.activeElement, turns()[0]);
  press(document.activeElement, "ArrowDown");
  assert.equal(document.activeElement.dataset.open, "1.0");
  press(document.activeElement, "End");
  assert.equal(document.activeElement.dataset.open, "1.2:1");
  assert.deepEqual(stops.filter((stop) => stop.tabIndex === 0), [document.activeElement]);
  press(document.activeElement, "ArrowRight");
  press(document.activeElement, "ArrowLeft");
  turns()[2].focus();
  press(turns()[2], "Enter");
  assert.deepEqual(model.sent, [{ do: "talk", open: "1.2:1" }, { do: "talk", open: "1.2:0" }]);
});

test("a filter and other parts are asked for, and the place is told", (t) => {
  show({ first: 100, of: 10_000, is_newest: false });
  t.after(() => talk.end());
  const scope = talk.el.querySelector("select"), place = talk.el.querySelector(".pf-talk-place");
  assert.deepEqual([place.hidden, place.firstChild.textContent], [false, "101 to 103 of 10,000"]);
  scope.value = "node:think";
  scope.dispatchEvent(new window.Event("change"));
  for (const name of ["Earlier", "Later", "Newest"]) [...place.querySelectorAll("button")].find((button) => button.textContent === name).click();
  assert.deepEqual(model.sent, [
    { do: "talk", scope: "node:think" }, { do: "talk", first: 50 }, { do: "talk", first: 150 }, { do: "talk", first: null },
  ]);
  redraw({ first: 0, of: 3, is_newest: true });
  assert.ok(place.hidden);
});

test("what comes is read out, what stood there is not", (t) => {
  show({ rows: [USER], of: 1 });
  t.after(() => talk.end());
  const said = [];
  view.announcer.say = (text) => said.push(text);
  redraw({ rows: [USER, { ...AGENT, state: "streaming" }], of: 2 });
  assert.deepEqual(said, []);
  redraw({ rows: [USER, AGENT], of: 2 });
  redraw({ rows: [USER, AGENT, { ...USER, key: "1.3" }, { ...USER, key: "1.4" }], of: 4 });
  redraw({ rows: [AGENT, { ...USER, key: "1.9" }], of: 2, scope: "node:think" });
  redraw({ rows: [AGENT, { ...USER, key: "2.1" }], of: 2, is_newest: false });
  assert.deepEqual(said, ["agent, think#1: I look.", "2 new messages"]);
});

test("an agent's Markdown is elements of a list, also when it is shown in full; its links are stops of the arrow keys", (t) => {
  const tree = [["p", {}, [["strong", {}, ["Twice"]], " ", ["a", { href: "https://example.org" }, ["a day"]], ["script", {}, ["alert(1)"]]]]];
  show({ rows: [USER, { ...AGENT, text: "**Twice** a day", tree, size: 5_000 }], of: 2 });
  t.after(() => talk.end());
  const [, agent] = turns();
  assert.deepEqual([agent.querySelector("strong").textContent, agent.querySelectorAll("script").length], ["agent", 0]);
  assert.equal(agent.querySelector(".pf-turn-md strong").textContent, "Twice");
  assert.deepEqual([agent.querySelector("a").tabIndex, agent.querySelector("a").rel], [-1, "noopener noreferrer nofollow"]);
  agent.focus();
  press(agent, "ArrowDown");
  assert.equal(document.activeElement.tagName, "A");
  redraw({ opened: { "1.2": ["**All** of it", [["p", {}, [["em", {}, ["All"]], " of it"]]]] } });
  assert.deepEqual([turns()[1].querySelector(".pf-turn-md em").textContent, texts(".pf-turn-more")], ["All", ["Fold"]]);
});

test("the place of a turn opens its visit, which gives the focus back", (t) => {
  show({ rows: [{ ...AGENT, visit: [2, "desk/think#1"] }], of: 1 });
  t.after(() => talk.end());
  const asked = [];
  view.openVisit = (request, from) => asked.push([request, from()]);
  const button = talk.el.querySelector(".pf-turn-visit");
  button.click();
  assert.deepEqual(asked, [[{ run: 2, address: "desk/think#1" }, button]]);
  turns()[0].focus();
  press(turns()[0], "ArrowDown");
  assert.equal(document.activeElement, button);
  press(button, "ArrowLeft");
  turns()[0].focus();
  press(turns()[0], "Enter");
  assert.deepEqual([asked.length, model.sent], [1, [{ do: "talk", open: "1.2:0" }]]);
});

test("a search looks at texts, roles and calls", (t) => {
  show();
  t.after(() => talk.end());
  talk.draw("lookuperror");
  assert.deepEqual(turns().map((turn) => turn.dataset.side), ["assistant"]);
  talk.draw("nowhere");
  assert.deepEqual(texts(".pf-talk-feed .pf-note"), ["Nothing has this text."]);
  assert.ok(searchedIn(AGENT).includes("think#1"));
  assert.equal(labelOf({ ...AGENT, run: "a1", state: "partial" }), "agent, a1, think#1, cut off");
  assert.equal(placeText({ ...PART, rows: [], of: 0 }), "0 of 0");
});

test("a press on a turn's head, or v on the turn, opens the visit that said it", (t) => {
  show();
  t.after(() => talk.end());
  const asked = [];
  view.openVisit = (request, from) => asked.push([request, from()]);
  turns()[2].querySelector(".pf-turn-role").dispatchEvent(new window.MouseEvent("click", { bubbles: true }));
  press(turns()[1], "v");
  turns()[0].querySelector(".pf-turn-role").dispatchEvent(new window.MouseEvent("click", { bubbles: true }));      // said before the run: there is none
  turns()[2].querySelector(".pf-turn-text").dispatchEvent(new window.MouseEvent("click", { bubbles: true }));
  assert.deepEqual(asked, [[{ turn: "think#1", by: "" }, turns()[2]], [{ turn: "ask#1", by: "" }, turns()[1]]]);
});
