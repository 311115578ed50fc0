// @ts-check
// Visits as bars over time, with retries, waits and what goes on now.

import { focusIn, make, makeSvg } from "../base/js/dom.js";
import { reached } from "../base/js/roving.js";
import { clock } from "../base/js/status.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./time_cursor.js").Playhead} Playhead */
/** Node, begin and end in ms, 1 if it failed or 2 if it was cancelled, and the level it is drawn at.
 *  @typedef {[string, number, number, boolean | number, number]} Span */
/** Sign, begin and end in ms (null while it goes on), words and level: `|` a retry, `?` a wait, `>` a visit under way.
 *  @typedef {["|" | "?" | ">", number, number | null, string, number?]} Mark */

/** Timelines of more runs than this are lines beside their names. */
const ROWS = 6;
/** Levels of one run at most, and names in the legend. */
const LEVELS = 8, NAMES = 24;
/** Colours of bars; the next nodes have the same with a pattern. */
const COLOURS = 12;
/** Lines over a bar, along and across it, by pattern; and the units between two lines across. */
const PATTERNS = [[false, false], [true, false], [false, true], [true, true]], BETWEEN = 8;
/** Part of the timeline from which on a bar has its name inside. */
const NAMED = 0.06;
/** The visits from which on there is something to compare. */
const FIRST = 2;
/** The height of all bars in pixels at most. */
const HIGHEST_PX = 96;
/** Milliseconds between two drawings of bars that only grow. */
const GROWTH = 500;
const KINDS = /** @type {const} */ ({ "|": "retry", "?": "wait", ">": "now" });

/** @param {View} view @param {Playhead} playhead */
export function timelineOf(view, playhead) {
  const el = make("div", "pf-timeline");
  let isGrowing = false, grown = 0;

  function draw() {
    /** @type {Span[][]} */
    const spans = view.model.get("spans");
    /** @type {Mark[][]} */
    const marks = view.model.get("marks");
    const open = marks.map((row) => row.filter(([sign]) => sign === ">"));   // visits under way
    el.hidden = spans.length > ROWS || [...spans, ...open].reduce((sum, row) => sum + row.length, 0) < FIRST;
    if (el.hidden) return;
    isGrowing = open.some((row) => row.length);
    playhead.end = endOf(spans, marks, view.elapsed);
    const names = [...new Set([...spans.flat().map(([node]) => node), ...open.flat().map(([, , , node]) => node)])];
    names.sort((x, y) => view.colour(x) - view.colour(y));
    const isNamed = spans.length > 1;
    el.dataset.named = String(isNamed);
    const { frame, labels } = barsOfRuns(spans, marks, open);
    const here = keyOfBar(focusIn(el));
    el.replaceChildren(...(isNamed ? [labels, frame, make("span")] : [frame]), scaleOf(names));
    playhead.draw();
    const bars = barsOfTimeline(), kept = here ? bars.find((bar) => keyOfBar(bar) === here) : undefined;
    (kept ?? bars[bars.length - 1])?.setAttribute("tabindex", "0");
    kept?.focus({ preventScroll: true });
  }

  /** @param {Span[][]} spans @param {Mark[][]} marks @param {Mark[][]} open */
  function barsOfRuns(spans, marks, open) {
    const { rows, height, tall } = rowsOf(spans, open), end = playhead.end, scaled = Math.min(1, HIGHEST_PX / tall);
    const svg = makeSvg("svg", {
      viewBox: `0 0 1000 ${tall}`, preserveAspectRatio: "none", role: "group", "aria-label": `Timeline of ${spans.length} runs over ${clock(end / 1000)}`,
    });
    const frame = make("div", "pf-timeline-frame"), labels = make("div", "pf-timeline-names"), overlay = make("div", "pf-marks");
    overlay.style.height = labels.style.height = svg.style.height = `${Math.min(tall, HIGHEST_PX)}px`;
    for (const [k, top] of rows.entries()) {
      const levelled = (/** @type {number} */ level) => top + Math.min(level, LEVELS - 1) * (height + 2);
      const run = view.model.get("lanes")[k]?.run ?? k;
      for (const span of spans[k]) {
        svg.append(...barOfVisit(span, run, end, levelled(span[4]), height));
        overlay.append(...wordsOnBar(span, end, levelled(span[4]) * scaled, height * scaled));
      }
      for (const mark of marks[k] ?? []) overlay.append(markOf(mark, run, end, levelled(mark[4] ?? 0) * scaled, height * scaled));
      if (spans.length > 1) labels.append(labelOf(k, top * scaled + (height * scaled) / 2));
    }
    frame.append(svg, overlay, playhead.el);
    return { frame, labels };
  }

  /** @param {Span} span @param {number} run @param {number} end @param {number} y @param {number} height */
  function barOfVisit([node, from, to, how], run, end, y, height) {
    const title = makeSvg("title", {}), cls = barClass(how, view.colour(node));
    title.textContent = `${node}  ${((to - from) / 1000).toFixed(3)} s${how === 2 ? "  cancelled" : how ? "  failed" : ""}`;
    const place = { x: (from / end) * 1000, y, width: Math.max(((to - from) / end) * 1000, 1.5), height, rx: 1.5 };
    const button = { role: "button", tabindex: -1, "aria-label": `${title.textContent}: open the visit`, "data-node": node, "data-ms": from, "data-run": run };
    const lines = how ? "" : patternPath(view.colour(node), place);
    return [makeSvg("rect", { ...place, ...button, class: `pf-bar ${cls}` }, title), ...(lines ? [makeSvg("path", { d: lines, class: "pf-bar-lines" })] : [])];
  }

  /** A cross where a visit failed, and the node's name where there is room. @param {Span} span @param {number} end @param {number} top @param {number} height */
  function wordsOnBar([node, from, to, how], end, top, height) {
    const texts = [...(how === 1 || how === true ? [["pf-bar-cross", "✗"]] : []), ...((to - from) / end >= NAMED ? [["pf-bar-name", node]] : [])];
    if (!texts.length) return [];
    const holder = make("span", "pf-bar-words");
    holder.style.left = `${(from / end) * 100}%`;
    holder.style.width = `${((to - from) / end) * 100}%`;
    holder.style.top = `${top}px`;
    holder.style.height = `${height}px`;
    holder.append(...texts.map(([cls, text]) => make("span", cls, text)));
    return [holder];
  }

  /** @param {Mark} mark @param {number} run @param {number} end @param {number} top @param {number} height */
  function markOf(mark, run, end, top, height) {
    const [sign, from, to, words] = mark, kind = KINDS[sign], until = to ?? (kind === "retry" ? from : end);
    const el = make("span", `pf-mark pf-mark-${kind}`, sign === "?" ? "?" : "");
    if (kind === "now") {
      el.classList.add(...swatchClasses(view.colour(words)));
      Object.assign(el.dataset, { node: words, ms: String(from), run: String(run) });
    }
    if (kind === "now" && (until - from) / end >= NAMED) el.append(make("span", "pf-bar-name", words));
    el.title = titleOf(mark);
    el.style.left = `${(Math.min(from, end) / end) * 100}%`;
    el.style.width = kind === "retry" ? "" : `max(${(Math.max(until - from, 0) / end) * 100}%, ${kind === "wait" ? 9 : 2}px)`;
    el.style.top = `${top}px`;
    el.style.height = `${height}px`;
    return el;
  }

  /** @param {number} k @param {number} top */
  function labelOf(k, top) {
    const label = make("span", "pf-timeline-name", view.model.get("lanes")[k]?.name ?? "");
    label.style.top = `${top}px`;
    return label;
  }

  /** @param {string[]} names */
  function scaleOf(names) {
    const legend = make("span", "pf-legend"), scale = make("div", "pf-scale");
    for (const name of names.slice(0, NAMES)) {
      const item = make("span", "pf-legend-item");
      const swatch = make("span", "pf-swatch");
      swatch.classList.add(...swatchClasses(view.colour(name)));
      item.append(swatch, make("span", "", name));
      legend.append(item);
    }
    if (names.length > NAMES) legend.append(make("span", "pf-legend-item", `and ${names.length - NAMES} more`));
    scale.append(make("span", "", "0 s"), legend, make("span", "", clock(playhead.end / 1000)));
    return scale;
  }

  /** Bars of visits under way grow, twice a second, also while nothing new comes from the kernel. */
  function grow() {
    const now = performance.now();
    if (!isGrowing || !view.isLive() || el.hidden || view.elapsed() <= playhead.end || now < grown + GROWTH) return;
    grown = now;
    draw();
  }

  function barsOfTimeline() {
    return /** @type {SVGElement[]} */ ([...el.querySelectorAll(".pf-bar")]);
  }

  /** Open the visit of a bar. @param {Event} event */
  function open(event) {
    const bar = barAt(event);
    const { node, ms, run } = bar?.dataset ?? {};
    if (!node || view.isGone) return;
    const key = keyOfBar(bar);
    view.openVisit({ run: Number(run), node, ms: Number(ms) }, () => barsOfTimeline().find((other) => keyOfBar(other) === key) ?? null);
    event.preventDefault();
    event.stopPropagation();
  }
  el.addEventListener("click", open);
  el.addEventListener("keydown", (event) => {
    const bars = barsOfTimeline(), at = bars.indexOf(/** @type {SVGElement} */ (event.target));
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (["Enter", " "].includes(event.key)) {
      open(event);
      return;
    }
    const to = reached(event.key, at, bars.length);
    if (to === undefined) return;
    bars[at].setAttribute("tabindex", "-1");
    bars[to].setAttribute("tabindex", "0");
    bars[to].focus();
    event.preventDefault();
    event.stopPropagation();
  });

  return { el, draw, grow };
}

/** The bar that was pressed, also below a mark. @param {Event} event @returns {HTMLElement | SVGElement | null} */
function barAt(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (!target.matches(".pf-mark") || target.dataset.node) return target.closest(".pf-bar, .pf-mark-now");
  const { clientX, clientY } = /** @type {MouseEvent} */ (event), page = /** @type {Document} */ (target.getRootNode());
  return /** @type {SVGElement | undefined} */ (page.elementsFromPoint(clientX, clientY).find((el) => el.matches(".pf-bar"))) ?? null;
}

/** What tells a bar from the others, also when they are drawn anew. @param {Element | null} bar */
function keyOfBar(bar) {
  const { node, ms, run } = /** @type {HTMLElement | SVGElement | null} */ (bar)?.dataset ?? {};
  return node === undefined ? "" : `${run} ${ms} ${node}`;
}

/** The class of a bar. @param {boolean | number} how its visit ended @param {number} colour its number */
export function barClass(how, colour) {
  if (how === 2) return "pf-bar-cancelled";
  return how ? "pf-bar-failed" : `pf-bar-${colour % COLOURS}`;
}

/** The classes of what has a node's colour and pattern. @param {number} colour its number */
export function swatchClasses(colour) {
  const pattern = Math.floor(colour / COLOURS) % PATTERNS.length;
  return [`pf-swatch-${colour % COLOURS}`, ...(pattern ? [`pf-pattern-${pattern}`] : [])];
}

/** The lines over a bar, as path data; none for the first twelve nodes. @param {number} colour its number
 *  @param {{ x: number, y: number, width: number, height: number }} bar */
export function patternPath(colour, { x, y, width, height }) {
  const [along, across] = PATTERNS[Math.floor(colour / COLOURS) % PATTERNS.length];
  let path = along ? `M${x.toFixed(1)} ${(y + height / 2).toFixed(1)}h${width.toFixed(1)}` : "";
  for (let at = BETWEEN / 2; across && at < width; at += BETWEEN) path += `M${(x + at).toFixed(1)} ${y.toFixed(1)}v${height.toFixed(1)}`;
  return path;
}

/** When the timeline ends, ms: with the last visit, or now while one goes on.
 *  @param {Span[][]} spans @param {Mark[][]} marks @param {() => number} elapsed */
export function endOf(spans, marks, elapsed) {
  const times = [...spans.flat().map((span) => span[2]), ...marks.flat().map((mark) => mark[2] ?? mark[1])];
  const isGoing = marks.flat().some(([sign, , to]) => to === null && sign !== "|");
  return Math.max(1, ...times, isGoing ? elapsed() : 1);
}

/** Where the rows of runs begin, how high a bar is and all rows together. @param {Span[][]} spans @param {Mark[][]} open */
export function rowsOf(spans, open) {
  const height = spans.length === 1 ? 11 : 9;
  let tall = 0;
  const rows = spans.map((row, k) => {
    const levels = [...row, ...(open[k] ?? [])].map((each) => each[4] ?? 0), top = tall;
    tall += Math.min(1 + Math.max(0, ...levels), LEVELS) * (height + 2) + 4;
    return top;
  });
  return { rows, height, tall };
}

/** What a mark says where the pointer rests on it. @param {Mark} mark */
export function titleOf([sign, from, to, words]) {
  if (sign === ">") return `${words}, going on`;
  return sign === "?" && to !== null ? `${words} (${((to - from) / 1000).toFixed(1)} s)` : words;
}
