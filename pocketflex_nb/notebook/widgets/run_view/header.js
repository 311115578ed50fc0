// @ts-check
// The strip at the top: name, status, numbers, and the buttons that pause, step and stop.

import { counted, make, makeButton, write } from "../base/js/dom.js";
import { hasKernel } from "../base/js/model.js";
import { clock, sign, stateOf } from "../base/js/status.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {{
 *   name: string, status: string, runs: number, counts?: Record<string, number>, steps?: number, most?: number, progress?: [number, number],
 *   seconds?: number | null, tokens?: number, cost?: number | string, problems?: string[], pinned?: string, epoch?: number,
 *   crumbs?: string[], origin?: string,
 * }} Strip */

/** @param {View} view @param {HTMLElement} menu */
export function headerOf(view, menu) {
  const el = make("div", "pf-strip"), head = make("div", "pf-head"), counts = make("div", "pf-counts"), facts = make("div", "pf-facts");
  const tools = make("div", "pf-tools"), problems = make("div", "pf-problems");
  const way = make("nav", "pf-way"), times = make("span", "pf-times");
  way.setAttribute("aria-label", "Way to these runs");
  const store = makeButton("store", "pf-crumb pf-crumb-store", () => view.openStore(), "Open the store of these runs");
  const pause = makeButton(
    "Pause", "pf-button pf-pause", () => view.send({ do: pause.textContent === "Resume" ? "resume" : "pause" }), "Hold before the next node (space)",
  );
  const step = makeButton("Step", "pf-button", () => view.send({ do: "step" }), "Let one more node go (n)");
  const stop = makeButton("Stop", "pf-button pf-stop", () => {
    stop.textContent = "Stopping";
    view.send({ do: "stop" });
  }, "End every run of this view (s)");
  tools.append(step, pause, stop, menu);      // what comes and goes stands at the outer end: the others stay
  el.append(head, way, store, times, counts, facts, tools);

  let told = "";

  function draw() {
    /** @type {Strip} */
    const strip = view.model.get("header");
    const { name, status, runs, counts: numbers = {} } = strip, listed = Object.entries(numbers), state = stateOf(status);
    view.root.dataset.status = status;
    view.root.setAttribute("aria-label", `Run view of ${name}`);
    drawWay(strip.crumbs ?? []);
    way.hidden = store.hidden = !strip.crumbs;
    head.replaceChildren(sign(view.glyphs(), state, { label: status }), ...(strip.crumbs ? [] : [make("span", "pf-name", name)]));
    write(times, runs > 1 ? `×${runs}` : "");
    times.hidden = runs < 2;
    counts.replaceChildren(...listed.map(([each, n]) => {
      const chip = make("span", "pf-count", runs > 1 ? `${n} ${each}` : each);
      chip.dataset.state = stateOf(each);
      return chip;
    }));
    drawFacts();
    drawTools(status === "paused" || (!!numbers.paused && !numbers.running));
    problems.replaceChildren(...(strip.problems ?? []).map((text) => make("div", "pf-problem", text)));
    const said = `${name}: ${listed.map(([each, n]) => `${n} ${each}`).join(", ")}`;
    if (said !== told) view.announcer.say(said);
    told = said;
  }

  /** The way to runs inside of a step; a press goes back. Drawn anew only when it changes: what has the focus keeps it. @param {string[]} crumbs */
  function drawWay(crumbs) {
    const told = JSON.stringify(crumbs);
    if (way.dataset.way === told) return;
    way.dataset.way = told;
    const last = crumbs.length - 1;
    way.replaceChildren(...crumbs.flatMap((each, k) => {
      if (k === last) {
        const here = make("span", "pf-name", each);
        here.setAttribute("aria-current", "location");
        return [here];
      }
      return [makeButton(each, "pf-crumb", () => view.send({ do: "up", to: k }), `Back to ${each}`), make("span", "pf-slash", "/")];
    }));
  }

  /** @param {boolean} isPaused */
  function drawTools(isPaused) {
    const isLive = view.isLive() && !view.isGone;
    pause.hidden = stop.hidden = !isLive;
    menu.hidden = view.isGone || !hasKernel(view.model);   // nobody there to write a file
    pause.textContent = isPaused ? "Resume" : "Pause";
    step.hidden = !isLive || !isPaused;
  }

  function drawFacts() {
    const seconds = view.begun === null ? null : (performance.now() - view.begun) / 1000;
    const told = factsOf(view.model.get("header"), seconds);
    if (view.isGone) told.push("kernel gone");
    write(facts, told.join("  ·  "));
  }

  return { el, problems, pause, stop, draw, drawFacts };
}

/** The numbers of the strip. @param {Strip} strip @param {number | null} going seconds for which the runs go on, by this page's clock */
export function factsOf({ most, steps, progress, seconds, tokens, cost, origin }, going) {
  const told = [], time = seconds ?? going;
  if (most) told.push(`step ${steps}/${most}`);
  else if (steps !== undefined) told.push(counted(steps, "step"));
  if (progress) told.push(`${progress[0]} of ${progress[1]}`);
  if (time !== null) told.push(clock(time));
  if (tokens) told.push(`${tokens >= 1000 ? `${(tokens / 1000).toFixed(1)}k` : tokens} tokens`);
  if (cost) told.push(`$${cost}`);
  if (origin) told.push(origin);
  return told;
}
