import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import panel, { pointsOf, stateWords, textOf } from "../../pocketflex_nb/notebook/widgets/engine_panel/engine_panel.js";
import { modelOf, openPage } from "./page.js";

const HEAD = { lag: 3, worst: 9, live: 1, asking: 0, agents: 1, waiting: 0, zombies: 0, threads: 2, memory: null };
const RUN = { run: 7, name: "plan", status: "running", node: "Search", steps: 4, time: "1.2 s" };
const AGENT = { name: "clerk", status: "running", mailbox: 2, handled: 5 };

beforeEach(() => openPage());

function shown(traits = {}) {
  const model = modelOf({ head: HEAD, curve: [1, 2], rows: [RUN], agents: [AGENT], icons: { running: "M0 0" }, static: "", ...traits });
  const el = document.createElement("div");
  document.body.append(el);
  return { model, el, end: panel.render({ model, el }) };
}

test("a number that is not known is a dash", () => {
  assert.deepEqual([textOf(null, "MB"), textOf(3, "ms"), textOf(0, "")], ["–", "3 ms", "0"]);
});

test("the state is said in words", () => {
  const states = [{ lag: null, live: 0 }, { lag: 251, live: 1 }, { lag: 1, live: 1 }, { lag: 1, live: 0 }];
  assert.deepEqual(states.map(stateWords), ["not started yet", "held up by a step that does not await", "running", "idle"]);
});

test("the curve goes from side to side, the highest at the top", () => {
  assert.equal(pointsOf([0, 5, 10], 10), "0.0,34.0 120.0,18.0 240.0,2.0");
});

test("runs have rows, which are stopped one by one or all together", () => {
  const { model, el } = shown();
  const row = el.querySelector(".pf-e-row");
  assert.equal(row.textContent, "planrunningSearch4 steps · 1.2 sStop");
  el.querySelector(".pf-e-end").click();
  el.querySelector(".pf-e-stop").click();
  assert.deepEqual(model.sent, [{ do: "stop", run: 7 }, { do: "stop all" }]);
});

test("a row is changed, not made anew, and goes with its run", () => {
  const { model, el } = shown();
  const row = el.querySelector(".pf-e-row");
  model.set("rows", [{ ...RUN, status: "paused", steps: 5 }]);
  assert.equal(el.querySelector(".pf-e-row"), row);
  assert.equal(row.querySelector(".pf-e-dot").getAttribute("data-state"), "waiting");
  model.set("rows", []);
  assert.equal(row.isConnected, false);
  assert.equal(el.querySelector(".pf-e-list").dataset.empty, "No run goes on.");
});

test("a kernel that went is told of, and nothing can be stopped", () => {
  const { model, el } = shown();
  model.comm_live = false;
  model.hear("comm_live_update");
  assert.equal(el.querySelector(".pf-e-state").textContent, "the kernel is gone");
  assert.equal(el.querySelector(".pf-e-stop").disabled, true);
});

test("a panel that is closed listens no more", () => {
  const { model, end } = shown();
  end();
  assert.equal(model.listeners(), 0);
});
