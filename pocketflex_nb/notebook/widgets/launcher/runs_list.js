// @ts-check
// What was started: how many are over, and a line for each run with its buttons.

import { counted, focusIn, make, setAttributes } from "../base/js/dom.js";
import { walkRowButtons } from "../base/js/roving.js";
import { sign, stateOf } from "../base/js/status.js";
import { formButton } from "./controls.js";

/** @typedef {import("./page.js").Page} Page */
/** @typedef {{ run: number, name: string, status: string, node: string, note: string, steps: number, time: string, tokens: number,
 *    part: number | null }} RunRow */
/** @typedef {{ counts?: Record<string, number>, runs?: number, over?: number, shown?: number }} Totals */

const OVER = ["done", "failed", "cancelled"];

/** How many runs have which status, how many are over, and the button that ends all. @param {Page} page */
export function totalsOf(page) {
  const count = make("span", "pf-l-count"), progress = make("div", "pf-l-progress"), done = make("div", "pf-l-done");
  setAttributes(progress, { role: "progressbar", "aria-label": "Runs that are over" });
  progress.append(done);
  const stop = formButton("Stop all", "pf-l-stop", () => page.send({ do: "stop" }), "End every run that this form has started");

  /** @param {Totals} totals */
  function draw({ counts = {}, runs = 0, over = 0 }) {
    count.textContent = Object.entries(counts).map(([status, n]) => `${n} ${status}`).join(" · ");
    progress.hidden = !runs;
    setAttributes(progress, { "aria-valuemin": 0, "aria-valuemax": runs, "aria-valuenow": over, "aria-valuetext": `${over} of ${runs} over` });
    done.style.width = `${runs ? (100 * over) / runs : 0}%`;
    stop.hidden = page.isGone() || !runs || over === runs;
  }

  return { parts: [count, progress, stop], draw };
}

/** @param {Page} page */
export function runsListOf(page) {
  const el = make("div", "pf-l-runs");
  setAttributes(el, { role: "list", "aria-label": "Runs" });
  walkRowButtons(el, ".pf-l-run");
  /** @type {Map<number, ReturnType<typeof lineOfRun>>} */
  const lines = new Map();

  /** @param {RunRow[]} rows */
  function draw(rows) {
    const numbers = rows.map((row) => row.run), shape = numbers.join(" ");
    if (el.dataset.shape !== shape) {
      el.dataset.shape = shape;
      for (const run of [...lines.keys()]) if (!numbers.includes(run)) lines.delete(run);
      place(rows);
    }
    for (const row of rows) lines.get(row.run)?.write(row);
  }

  /** @param {RunRow[]} rows */
  function place(rows) {
    for (const row of rows) if (!lines.has(row.run)) lines.set(row.run, lineOfRun(page, row));
    const focus = /** @type {HTMLElement | null} */ (focusIn(page.root));
    el.replaceChildren(...rows.map((row) => /** @type {{ el: HTMLElement }} */ (lines.get(row.run)).el));
    if (focus && el.contains(focus)) focus.focus();
  }

  return {
    el, draw,
    /** Say how many runs have no line. @param {Totals} totals */
    tellMore({ runs = 0, shown = 0 }) { el.dataset.more = runs > shown ? `${runs - shown} more: %pf runs --all` : ""; },
    /** Make all lines anew. @param {RunRow[]} rows */
    renew(rows) {
      lines.clear();
      el.dataset.shape = "";
      draw(rows);
    },
  };
}

/** @param {Page} page @param {RunRow} row */
function lineOfRun(page, { run, name }) {
  const el = make("div", "pf-l-run");
  el.setAttribute("role", "listitem");
  const dot = make("span", "pf-l-sign"), status = make("span", "pf-l-run-status"), node = make("span", "pf-l-run-node");
  const facts = make("span", "pf-l-run-facts"), tools = make("span", "pf-l-run-tools");
  const act = (/** @type {string} */ text, /** @type {string} */ what, /** @type {string} */ title = "") => {
    const button = formButton(text, "pf-l-quiet", () => page.send({ do: "run", run, what: button.dataset.what || what }), title);
    button.setAttribute("aria-label", `${text} ${name}`);
    return button;
  };
  const view = act("View", "view", "Show this run below"), store = act("Store", "store", "Show this run's store below");
  const pause = act("Pause", "pause"), end = act("Stop", "stop");
  const again = act("Again", "again", "Start it once more, on what its store held when it began");
  tools.append(view, store, pause, end, again);
  el.append(dot, make("span", "pf-l-run-name", name), status, node, facts, tools);

  /** @param {string} now */
  function writeStatus(now) {
    const state = stateOf(now), isOver = OVER.includes(now), isPaused = now === "paused";
    Object.assign(el.dataset, { status: now, state });
    dot.replaceChildren(sign(page.icons(), state, { prefix: "pf-l-" }));
    status.textContent = now;
    pause.hidden = end.hidden = isOver || page.isGone();
    again.hidden = !isOver || page.isGone();
    pause.textContent = isPaused ? "Resume" : "Pause";
    pause.dataset.what = isPaused ? "resume" : "pause";
    pause.setAttribute("aria-label", `${pause.textContent} ${name}`);
  }

  return {
    el,
    /** @param {RunRow} row */
    write(row) {
      if (el.dataset.status !== row.status) writeStatus(row.status);
      node.textContent = row.note || row.node;
      node.title = row.note;
      facts.textContent = factsText(row);
    },
  };
}

/** @param {Pick<RunRow, "steps" | "time" | "tokens" | "part">} row */
export function factsText({ steps, time, tokens, part }) {
  const told = [counted(steps, "step"), time];
  if (tokens) told.push(`${tokens} tok`);
  if (part !== null && part !== undefined) told.unshift(`${Math.round(part * 100)} %`);
  return told.join(" · ");
}
