// @ts-check
// The visits of each run as a thin line of bars, beside its name; all rows on one axis of time, which stands above them.

import { make, makeSvg, write } from "../base/js/dom.js";
import { clock } from "../base/js/status.js";
import { barClass } from "./timeline.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./timeline.js").Span} Span */

/** Room at the end of the axis while runs are live, so that not each look draws all anew. */
const ROOM = 1.1;

/** @param {View} view */
export function sparklinesOf(view) {
  const axis = make("div", "pf-axis-row"), bar = make("div", "pf-axis-bar"), line = make("span", "pf-axis-line");
  const from = make("span"), to = make("span");
  line.append(from, to);
  bar.append(make("span", "", "one time axis for all rows"), line);
  axis.append(bar);
  axis.hidden = true;
  /** @type {WeakMap<Element, Span[]>} what each row shows */
  const shown = new WeakMap();
  let scale = [0, 0];

  /** @param {(key: string) => HTMLElement | undefined} placeOf where the line of a lane stands */
  function draw(placeOf) {
    /** @type {Span[][]} */
    const spans = view.model.get("spans");
    const all = spans.flat();
    const begin = Math.min(...all.map((span) => span[1])), end = Math.max(begin + 1, ...all.map((span) => span[2]));
    const isMoved = begin !== scale[0] || end > scale[1];
    if (isMoved) scale = [begin, end > scale[1] && view.isLive() ? begin + (end - begin) * ROOM : end];
    drawAxis(all.length > 0);
    for (const [k, lane] of view.model.get("lanes").entries()) {
      const place = placeOf(String(lane.key));
      if (!place || (shown.get(place) === spans[k] && !isMoved)) continue;
      shown.set(place, spans[k]);
      place.replaceChildren(sparklineOf(spans[k] ?? [], scale[0], scale[1]));
    }
  }

  /** @param {boolean} isUsed */
  function drawAxis(isUsed) {
    axis.hidden = !isUsed;
    if (!isUsed) return;
    write(from, clock(scale[0] / 1000));
    write(to, clock(scale[1] / 1000));
  }

  /** @param {Span[]} spans @param {number} begin @param {number} end ms */
  function sparklineOf(spans, begin, end) {
    const bars = Object.entries(barsOf(spans, begin, end, view.colour)).map(([cls, d]) => makeSvg("path", { class: cls, d }));
    return makeSvg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "pf-spark", "aria-hidden": "true" }, ...bars);
  }

  return { axis, draw };
}

/** The bars as one path for each class. @param {Span[]} spans @param {number} begin @param {number} end ms @param {(node: string) => number} colour */
export function barsOf(spans, begin, end, colour) {
  /** @type {Record<string, string>} */
  const paths = {};
  const part = (/** @type {number} */ ms) => (ms / (end - begin || 1)) * 100;
  for (const [node, from, to, how] of spans) {
    const cls = barClass(how, colour(node)), wide = Math.max(part(to - from) - 0.6, 1).toFixed(1);
    paths[cls] = `${paths[cls] ?? ""}M${part(from - begin).toFixed(1)} 1h${wide}v8h-${wide}z`;
  }
  return paths;
}
