// @ts-check
// A lane for each run: its state, where it is, what it says, and its open questions.

import { counted, isSelecting, make, makeButton, setAttributes, write } from "../base/js/dom.js";
import { walkRowButtons } from "../base/js/roving.js";
import { clock, sign, stateOf } from "../base/js/status.js";
import { answerCardOf } from "./answer_card.js";
import { errorCardOf } from "./error_card.js";
import { followerOf, linesOf } from "./lane_lines.js";
import { sparklinesOf } from "./sparklines.js";
import { isLiveStatus } from "./view.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {{
 *   key: string | number, run?: number | null, name: string, status: string, at: string[], steps: number, seconds: number | null, lines: import("./lane_lines.js").Line[],
 *   asks?: import("./answer_card.js").Ask[], error?: import("./error_card.js").RunError | null,
 * }} Lane */
/** @typedef {ReturnType<typeof laneOf>} LaneParts */

/** Lanes up to this number have lines and cards; above, a row each with its visits. */
export const FEW = 6;
/** Letters of a line by which its visit is found. */
const SAID_LETTERS = 120;

/** @param {View} view @param {HTMLElement} middle the part of the page that holds graph and lanes */
export function lanesOf(view, middle) {
  const el = make("div", "pf-lanes"), sparklines = sparklinesOf(view), follower = followerOf();
  /** @type {Map<string, LaneParts>} */
  const made = new Map();
  const endWalk = walkRowButtons(el, ".pf-lane-bar");

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
    for (const { body } of made.values()) body.tabIndex = lanes.length > FEW ? -1 : 0;    // one line, which does not scroll
    for (const [k, lane] of lanes.entries()) drawLane(made.get(String(lane.key)) ?? add(lane), lane, lane.run ?? k, lanes.length);
  }

  /** @param {Lane} lane */
  function add(lane) {
    const parts = laneOf(view, lane);
    follower.watch(parts.body);
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
    parts.lines.draw(lane.lines);
    if (before && isLiveStatus(before.status) && !isLiveStatus(lane.status)) follower.release(parts.body);
    else if (before?.lines !== lane.lines) follower.follow(parts.body);
    drawCards(view, parts.cards, lane, run, count > FEW);
    announce(parts, lane, before);
  }

  /** Tell of a question or an error that was not there before. @param {LaneParts} parts @param {Lane} lane @param {Lane | null} before */
  function announce(parts, lane, before) {
    for (const { ask, question } of lane.asks ?? []) {
      if (parts.told.has(ask)) continue;
      parts.told.add(ask);
      view.announcer.call(`${lane.name} asks: ${question}`);
    }
    if (lane.error && before && !before.error) view.announcer.call(`${lane.name} failed: ${lane.error.type} ${lane.error.text}`);
  }

  return {
    el, draw,
    end() {
      follower.end();
      endWalk();
    },
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
  body.addEventListener("click", (event) => {
    const line = /** @type {Element} */ (event.target).closest(".pf-line"), [who, what] = line?.children ?? [];
    if (!line || !who.textContent || view.isGone || isSelecting(body)) return;
    view.openVisit({ run: parts.run, node: who.textContent, text: (what.textContent ?? "").slice(0, SAID_LETTERS) }, () => body);
  });
  const parts = {
    row, state, name, at, spark, steps, end, body, cards, lines: linesOf(body), told: /** @type {Set<number>} */ (new Set()), run: -1, drawn: /** @type {unknown[]} */ ([]), lane: /** @type {Lane | null} */ (null),
  };
  bar.append(state, name, at, spark, steps, end);
  row.append(bar, body, cards);
  return parts;
}

/** Open questions and the error. @param {View} view @param {HTMLElement} holder @param {Lane} lane @param {number} run @param {boolean} isShort */
function drawCards(view, holder, lane, run, isShort) {
  const asks = (lane.asks ?? []).map((ask) => answerCardOf(holder, ask, (value) => view.send({ do: "answer", run, ask: ask.ask, value })));
  const kept = [...holder.children].find((el) => view.errors.get(el) === lane.error);
  const copy = view.isGone ? undefined : () => view.copyText({ do: "traceback", run });
  const errors = lane.error ? [kept ?? errorCardOf(lane.error, { isShort, copy })] : [];
  if (lane.error) view.errors.set(errors[0], lane.error);
  const cards = [...asks, ...errors], isSame = cards.length === holder.children.length && cards.every((el, n) => el === holder.children[n]);
  if (!isSame) holder.replaceChildren(...cards);
}
