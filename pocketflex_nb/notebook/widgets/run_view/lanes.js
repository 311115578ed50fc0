// @ts-check
// A lane for each run: its state, where it is, what it says, and its open questions.

import { counted, make, makeButton, setAttributes, write } from "../base/js/dom.js";
import { clock, sign, stateOf } from "../base/js/status.js";
import { answerCardOf } from "./answer_card.js";
import { errorCardOf } from "./error_card.js";
import { sparklinesOf } from "./sparklines.js";
import { isLiveStatus } from "./view.js";

/** @typedef {import("./view.js").View} View */
/** Stream, text and node. @typedef {[string, string, string]} Line */
/** @typedef {{
 *   key: string | number, run?: number | null, name: string, status: string, at: string[], steps: number, seconds: number | null, lines: Line[],
 *   asks?: import("./answer_card.js").Ask[], error?: import("./error_card.js").RunError | null,
 * }} Lane */
/** @typedef {ReturnType<typeof laneOf>} LaneParts */

/** Lanes up to this number have lines and cards; above, a row each with its visits. */
export const FEW = 6;

/** @param {View} view @param {HTMLElement} middle the part of the page that holds graph and lanes */
export function lanesOf(view, middle) {
  const el = make("div", "pf-lanes"), sparklines = sparklinesOf(view), follower = followerOf();
  /** @type {Map<string, LaneParts>} */
  const made = new Map();

  function draw() {
    /** @type {Lane[]} */
    const lanes = view.model.get("lanes");
    el.hidden = !lanes.length;
    el.dataset.size = sizeOfLanes(lanes.length);
    middle.dataset.lanes = el.dataset.lanes = String(lanes.length);
    const kept = new Set(lanes.map((lane) => String(lane.key)));
    for (const [key, parts] of made) {
      if (kept.has(key)) continue;
      parts.row.remove();
      made.delete(key);
    }
    for (const [k, lane] of lanes.entries()) drawLane(made.get(String(lane.key)) ?? add(lane), lane, lane.run ?? k, lanes.length);
  }

  /** @param {Lane} lane */
  function add(lane) {
    const parts = laneOf(view, lane);
    made.set(String(lane.key), parts);
    el.append(parts.row);
    if (!sparklines.axis.parentElement) el.prepend(sparklines.axis);
    return parts;
  }

  /** @param {LaneParts} parts @param {Lane} lane @param {number} run @param {number} count of lanes */
  function drawLane(parts, lane, run, count) {
    const isNow = view.model.get("cursor").live !== false, isFocused = view.model.get("focus") === run;
    const drawn = [lane, run, count, view.isGone, isNow, isFocused];
    if (drawn.every((value, n) => value === parts.drawn[n])) return;
    const before = parts.lane;
    Object.assign(parts, { drawn, lane, run });
    if (before?.status !== lane.status) {
      parts.row.dataset.status = lane.status;
      parts.state.replaceChildren(sign(view.glyphs(), stateOf(lane.status), { label: lane.status }));
    }
    const isAlone = count === 1;
    parts.name.hidden = parts.steps.hidden = isAlone;
    parts.name.setAttribute("aria-pressed", String(isFocused));
    write(parts.at, lane.at.length ? lane.at.join(", ") : lane.status);
    parts.spark.hidden = count <= FEW;
    write(parts.steps, `${counted(lane.steps, "step")}${lane.seconds !== null ? ` · ${clock(lane.seconds)}` : ""}`);
    parts.end.hidden = isAlone || !isLiveStatus(lane.status) || view.isGone || !isNow;
    drawLines(parts.body, before?.lines ?? [], lane.lines, isAlone);
    if (before?.lines !== lane.lines && !parts.body.dataset.held) follower.follow(parts.body);
    drawCards(view, parts.cards, lane, run, count > FEW);
  }

  return {
    el, draw, end: follower.end,
    drawSparklines: () => sparklines.draw((key) => made.get(key)?.spark),
  };
}

/** @param {number} count */
export function sizeOfLanes(count) {
  if (count === 1) return "one";
  return count <= FEW ? "few" : "rows";
}

/** The parts of a lane, made once; `drawLane` changes what differs. @param {View} view @param {Lane} lane */
function laneOf(view, lane) {
  const row = make("section", "pf-lane"), bar = make("div", "pf-lane-bar"), state = make("span", "pf-lane-sign");
  const at = make("span", "pf-lane-at"), spark = make("span", "pf-lane-spark"), steps = make("span", "pf-lane-steps");
  const body = make("div", "pf-lines"), cards = make("div", "pf-cards");
  const name = makeButton(lane.name, "pf-lane-name", () => {
    view.send({ do: "focus", run: view.model.get("focus") === parts.run ? -1 : parts.run });
  }, "Show this run alone in the diagram");
  const end = makeButton("Stop", "pf-button pf-small", () => view.send({ do: "stop", run: parts.run }));
  end.setAttribute("aria-label", `Stop ${lane.name}`);
  row.setAttribute("aria-label", `Agent ${lane.name}`);
  body.tabIndex = 0;
  setAttributes(body, { role: "log", "aria-live": "off", "aria-label": `What ${lane.name} says` });
  body.addEventListener("scroll", () => {   // a reader who scrolled up stays where he is
    body.dataset.held = body.scrollTop + body.clientHeight < body.scrollHeight - 12 ? "true" : "";
  });
  const parts = {
    row, state, name, at, spark, steps, end, body, cards, run: -1, drawn: /** @type {unknown[]} */ ([]), lane: /** @type {Lane | null} */ (null),
  };
  bar.append(state, name, at, spark, steps, end);
  row.append(bar, body, cards);
  return parts;
}

/** The lines of a lane: what is the same object stays as it is.
 *  @param {HTMLElement} body @param {Line[]} old @param {Line[]} lines @param {boolean} isNamed whether each line says its node */
export function drawLines(body, old, lines, isNamed) {
  if (old === lines) return;
  const shift = lines.length ? Math.max(old.indexOf(lines[0]), 0) : old.length;
  for (let k = 0; k < shift; k += 1) body.firstChild?.remove();
  for (const [k, line] of lines.entries()) {
    const el = body.children[k];
    if (!el || old[shift + k] !== line) writeLine(el ?? addLine(body), line, isNamed);
  }
  while (body.children.length > lines.length) body.lastChild?.remove();
  body.hidden = !lines.length;
}

/** @param {HTMLElement} body */
function addLine(body) {
  const el = make("div", "pf-line");
  el.append(make("span", "pf-line-node"), make("span", "pf-line-text"));
  body.append(el);
  return el;
}

/** @param {Element} el @param {Line} line @param {boolean} isNamed */
function writeLine(el, [stream, text, node], isNamed) {
  const [who, what] = /** @type {HTMLElement[]} */ ([...el.children]);
  el.className = `pf-line pf-${stream === "token" || stream === "log" ? stream : "print"}`;
  who.hidden = !isNamed || !node;
  write(who, node);
  write(what, text.replace(/\n$/, ""));
}

/** Open questions and the error. @param {View} view @param {HTMLElement} holder @param {Lane} lane @param {number} run @param {boolean} isShort */
function drawCards(view, holder, lane, run, isShort) {
  const asks = (lane.asks ?? []).map((ask) => answerCardOf(holder, ask, (value) => view.send({ do: "answer", run, ask: ask.ask, value })));
  const errors = lane.error ? [errorCardOf(lane.error, isShort)] : [];
  const isSame = asks.length === holder.children.length && asks.every((el, n) => el === holder.children[n]);
  if (errors.length || !isSame) holder.replaceChildren(...asks, ...errors);
}

/** Keeps lines at what is said last, in one turn for all: asking for a height lays the page out. */
function followerOf() {
  /** @type {Set<HTMLElement>} */
  const following = new Set();
  let turn = 0;

  function scroll() {
    turn = 0;
    const heights = [...following].map((el) => el.scrollHeight);
    for (const [k, el] of [...following].entries()) el.scrollTop = heights[k];
    following.clear();
  }

  return {
    /** @param {HTMLElement} el */
    follow(el) {
      following.add(el);
      turn ||= requestAnimationFrame(scroll);
    },
    end: () => cancelAnimationFrame(turn),
  };
}
