// @ts-check
// The state of the engine: numbers, a curve of its lag, and what runs on it.

import { make, makeButton, makeSvg, setAttributes, write } from "../base/js/dom.js";
import { hasKernel, listen, senderOf } from "../base/js/model.js";
import { walkRowButtons } from "../base/js/roving.js";
import { hideStatic } from "../base/js/static_fallback.js";
import { sign, stateOf } from "../base/js/status.js";
import { asView } from "../base/js/view_root.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {{ run: number, name: string, status: string, node: string, steps: number, time: string }} RunRow */
/** @typedef {{ name: string, status: string, mailbox: number, handled: number }} AgentRow */

/** Name, words and unit of each number. */
const FACTS = [
  ["lag", "engine lag", "ms"], ["worst", "worst lag", "ms"], ["live", "runs live", ""], ["asking", "asking", ""], ["agents", "agents", ""],
  ["waiting", "in mailboxes", ""], ["zombies", "zombies", ""], ["threads", "pool threads", ""], ["memory", "memory", "MB"],
];
/** Milliseconds of lag from which the engine counts as held up. */
const HELD_UP = 250;

/** @param {{ model: Model, el: HTMLElement }} props */
function render({ model, el }) {
  const send = senderOf(model);
  const root = asView(make("div", "pf-engine"));
  root.setAttribute("aria-label", "Engine panel");
  const { bar, state, stop } = barOf(() => send({ do: "stop all" }));
  const { facts, values } = factsOf();
  const line = makeSvg("polyline", { fill: "none", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" });
  const curve = makeSvg("svg", { class: "pf-e-curve", viewBox: "0 0 240 36", preserveAspectRatio: "none", role: "img" }, line);
  const runs = listOf("Runs that go on"), agents = listOf("Agents that live");
  const lists = make("div", "pf-e-lists");
  lists.append(runs, agents);
  const endWalk = walkRowButtons(runs, ".pf-e-row");
  root.append(bar, facts, curve, lists);
  el.append(root);
  /** @type {Map<number, { item: HTMLElement, status: string }>} */
  const known = new Map();

  function drawHead() {
    const head = model.get("head");
    for (const [name, value] of Object.entries(values)) value.textContent = textOf(head[name], unitOf(name));
    values.zombies.dataset.bad = String(head.zombies > 0);
    values.lag.dataset.bad = String(head.lag > HELD_UP);
    write(state, stateWords(head));
    stop.disabled = !head.live;
  }

  function drawCurve() {
    /** @type {number[]} */
    const points = model.get("curve");
    const high = Math.max(10, ...points);
    line.setAttribute("points", pointsOf(points, high));
    curve.setAttribute("aria-label", `Lag of the engine thread, the last ${points.length} samples, at most ${high} ms`);
    curve.toggleAttribute("data-empty", points.length < 2);
  }

  function drawRuns() {
    /** @type {RunRow[]} */
    const held = model.get("rows");
    const numbers = new Set(held.map((run) => run.run));
    for (const [number, { item }] of known) {
      if (numbers.has(number)) continue;
      item.remove();
      known.delete(number);
    }
    for (const run of held) drawRun(run);
    runs.dataset.empty = held.length ? "" : "No run goes on.";
  }

  /** @param {RunRow} run */
  function drawRun(run) {
    let made = known.get(run.run);
    if (!made) {
      const end = makeButton("Stop", "pf-e-end", () => send({ do: "stop", run: run.run }));
      end.setAttribute("aria-label", `Stop ${run.name}`);
      made = { item: rowOf(run.status, [run.name, "", "", ""]), status: run.status };
      made.item.append(end);
      runs.append(made.item);
      known.set(run.run, made);
    }
    if (made.status !== run.status) {
      made.status = run.status;
      made.item.firstElementChild?.replaceWith(dotOf(run.status));
    }
    const cells = made.item.querySelectorAll(".pf-e-cell");
    const texts = [run.name, run.status, run.node, `${run.steps} steps · ${run.time}`];
    for (const [n, text] of texts.entries()) write(cells[n], text);
  }

  function drawAgents() {
    /** @type {AgentRow[]} */
    const held = model.get("agents");
    agents.replaceChildren(...held.map((a) => rowOf(a.status, [a.name, a.status, `${a.mailbox} waiting`, `${a.handled} handled`])));
    agents.dataset.empty = held.length ? "" : "No agent lives.";
  }

  /** @param {string} status */
  function dotOf(status) {
    return sign(model.get("icons"), stateOf(status), { prefix: "pf-e-" });
  }

  /** @param {string} status @param {string[]} texts */
  function rowOf(status, texts) {
    const item = make("div", "pf-e-row");
    item.setAttribute("role", "listitem");
    item.append(dotOf(status), ...texts.map((text, n) => make("span", `pf-e-cell pf-e-cell-${n}`, text)));
    return item;
  }

  function showGone() {
    if (hasKernel(model)) return;
    state.textContent = "the kernel is gone";
    stop.disabled = true;
  }

  drawHead();
  drawCurve();
  drawRuns();
  drawAgents();
  const ends = [
    listen(model, {
      "change:head": drawHead, "change:curve": drawCurve, "change:rows": drawRuns, "change:agents": drawAgents, comm_live_update: showGone,
    }),
    hideStatic(el, model), endWalk,
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** @param {() => void} stopAll */
function barOf(stopAll) {
  const bar = make("div", "pf-e-bar"), state = make("span", "pf-e-state");
  state.setAttribute("role", "status");
  const stop = makeButton("Stop all runs", "pf-e-stop", stopAll);
  bar.append(make("span", "pf-e-title", "Engine"), state, stop);
  return { bar, state, stop };
}

function factsOf() {
  const facts = make("dl", "pf-e-facts");
  /** @type {Record<string, HTMLElement>} */
  const values = {};
  for (const [name, words] of FACTS) {
    const box = make("div", "pf-e-fact"), value = make("dd", "pf-e-value");
    box.append(make("dt", "pf-e-name", words), value);
    facts.append(box);
    values[name] = value;
  }
  return { facts, values };
}

/** @param {string} label */
function listOf(label) {
  const list = make("div", "pf-e-list");
  setAttributes(list, { role: "list", "aria-label": label });
  return list;
}

/** @param {string} name */
function unitOf(name) {
  return FACTS.find(([known]) => known === name)?.[2] ?? "";
}

/** @param {number | string | null | undefined} value @param {string} unit */
export function textOf(value, unit) {
  if (value === null || value === undefined) return "–";
  return unit ? `${value} ${unit}` : String(value);
}

/** @param {{ lag: number | null, live: number }} head */
export function stateWords({ lag, live }) {
  if (lag === null) return "not started yet";
  if (lag > HELD_UP) return "held up by a step that does not await";
  return live ? "running" : "idle";
}

/** The curve's points in a box of 240 by 36. @param {number[]} points @param {number} high */
export function pointsOf(points, high) {
  const step = 240 / Math.max(points.length - 1, 1);
  return points.map((p, n) => `${(n * step).toFixed(1)},${(34 - (p / high) * 32).toFixed(1)}`).join(" ");
}

export default { render };
