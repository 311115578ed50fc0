// @ts-check
// The run history: what can be done with a run, which rows fit the filters, their order, and where keys lead.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ageOf, countWords, fits, matches, movedTo, sorted } from "../../pocketflex_nb/notebook/widgets/run_history/run_history.js";

/** @param {object} [more] */
const row = (more) => ({
  key: 1, name: "night", flow: "report", status: "done", begun: 1000, seconds: 2, steps: 3, tokens: 0, cost: 0, error: "", origin: "",
  journal: "runs.sqlite", item: false, ...more,
});
const all = { flow: "", state: "", age: 0, cost: 0, text: "" };

test("a run that is over is neither cancelled nor, when it is done, resumed", () => {
  const can = (/** @type {string} */ status) => ["open", "resume", "cancel", "fork", "again", "delete"].filter((deed) => fits(deed, row({ status })));
  assert.deepEqual(can("done"), ["open", "fork", "delete"]);
  assert.deepEqual(can("failed"), ["open", "resume", "fork", "again", "delete"]);
  assert.deepEqual(can("unfinished"), ["open", "resume", "cancel", "fork", "delete"]);
  assert.deepEqual(can("running"), ["open", "cancel", "fork"]);
  assert.deepEqual(can("running elsewhere"), ["open", "fork"]);
});

test("filters are joined, and a text is looked for in name, flow, error and origin", () => {
  const found = (/** @type {object} */ filters) => matches(row({ status: "failed", cost: 0.2, error: "ConnectionError" }), { ...all, ...filters }, 4000);
  assert.ok(found({}));
  assert.ok(found({ flow: "report", state: "failed", age: 3600, cost: 0.1, text: "connection" }));
  for (const other of [{ flow: "other" }, { state: "done" }, { age: 60 }, { cost: 1 }, { text: "nothing" }]) assert.ok(!found(other));
});

test("rows are sorted by age, the newest first, and by any column both ways", () => {
  const rows = [row({ key: 1, begun: 1, name: "run-10" }), row({ key: 2, begun: 3, name: "run-9" }), row({ key: 3, begun: 2, name: "a" })];
  assert.deepEqual(sorted(rows, { by: "age", down: false }).map((r) => r.key), [2, 3, 1]);
  assert.deepEqual(sorted(rows, { by: "name", down: false }).map((r) => r.key), [3, 2, 1]);
  assert.deepEqual(sorted(rows, { by: "name", down: true }).map((r) => r.key), [1, 2, 3]);
});

test("keys lead to rows within the table", () => {
  assert.deepEqual(["ArrowDown", "ArrowUp", "Home", "End", "PageDown", "x"].map((key) => movedTo(key, 2, 5)), [3, 1, 0, 4, 4, undefined]);
});

test("ages and counts are words", () => {
  assert.deepEqual([5, 90, 7200, 200000].map(ageOf), ["5 s", "1 min", "2 h", "2 d"]);
  assert.equal(countWords(2, 5, 1), "2 of 5 runs, 1 chosen");
  assert.equal(countWords(1, 1, 0), "1 run");
});
