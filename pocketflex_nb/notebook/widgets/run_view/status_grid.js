// @ts-check
// Many runs as one cell each, sorted by status; a click looks into that run.

import { make, makeButton, makeSvg, setAttributes } from "../base/js/dom.js";
import { sign, stateOf } from "../base/js/status.js";

/** @typedef {import("./view.js").View} View */

/** @type {Record<string, string>} */
const CODES = { r: "running", d: "done", f: "failed", c: "cancelled", a: "asking", w: "paused", p: "pending", u: "unfinished" };
/** @type {Record<string, number>} */
const MOVES = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -100, ArrowDown: 100 };
/** Cells of each state have a shape of their own, in a square of 8. @type {Record<string, string>} */
const SHAPES = {
  done: "h8v8h-8z", running: "l8 4l-8 4z", asking: "m4 0l4 4l-4 4l-4 -4z", waiting: "h3v8h-3zm5 0h3v8h-3z", cancelled: "m0 3h8v2h-8z",
  failed: "h2l2 2.6l2 -2.6h2l-2.8 4l2.8 4h-2l-2 -2.6l-2 2.6h-2l2.8 -4z", idle: "h8v8h-8zm1.6 1.6v4.8h4.8v-4.8z",
};
/** Cells at most; above that a cell stands for several runs. */
const CELLS = 1200;
/** Cells of one line at most. */
const COLUMNS = 100;

/** @param {View} view */
export function statusGridOf(view) {
  const el = make("div", "pf-heat"), pinned = make("div", "pf-pinned");
  let at = -1;
  /** @type {string | undefined} */
  let pinnedNow;
  el.tabIndex = 0;
  setAttributes(el, { role: "group", "aria-label": "Runs by status: left and right look into the previous or next one" });

  /** @param {number} run */
  function pin(run) {
    at = run;
    view.send({ do: "pin", at });
  }

  function draw() {
    /** @type {string} */
    const coded = view.model.get("status_grid");
    el.hidden = !coded;
    drawPinned();
    if (!coded) return;
    const parts = partsOf(coded), size = sizeOf(parts);
    const svg = pictureOf(parts, size);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * size.columns);
      const y = Math.floor(((event.clientY - box.top) / box.height) * size.lines);
      pin(Math.min((y * size.columns + x) * size.each, size.total - 1));
    });
    el.replaceChildren(svg, legendOf(parts, size.each));
  }

  function drawPinned() {
    const { pinned: name } = view.model.get("header");
    pinnedNow = name;
    pinned.hidden = !name;
    if (!name) return;
    const all = makeButton("Show all", "pf-button pf-small", () => view.send({ do: "focus", run: -1 }));
    pinned.replaceChildren(make("span", "", "Looking into"), make("strong", "", name), all);
  }

  /** @param {[string, number][]} parts @param {number} each */
  function legendOf(parts, each) {
    const legend = make("div", "pf-heat-legend");
    for (const [status, n] of parts) {
      const item = make("span", "pf-heat-item");
      item.append(sign(view.glyphs(), stateOf(status), { label: status }), make("span", "", `${n.toLocaleString("en")} ${status}`));
      legend.append(item);
    }
    if (each > 1) legend.append(make("span", "pf-heat-each", `one cell = ${each} runs`));
    return legend;
  }

  el.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (event.key === "Escape") view.send({ do: "focus", run: -1 });
    else if (move) pin(Math.min(Math.max(at + move, 0), view.model.get("header").runs - 1));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    el, pinned, draw,
    /** Draw again where another run is looked into. */
    follow() {
      if (view.model.get("header").pinned !== pinnedNow) draw();
    },
  };
}

/** Statuses with their numbers, from `r3,d12`. @param {string} coded @returns {[string, number][]} */
export function partsOf(coded) {
  return coded.split(",").map((part) => [CODES[part[0]], Number(part.slice(1))]);
}

/** How many runs a cell stands for, and the cells' columns and lines. @param {[string, number][]} parts */
export function sizeOf(parts) {
  const total = parts.reduce((sum, [, n]) => sum + n, 0), each = Math.ceil(total / CELLS), cells = Math.ceil(total / each);
  const columns = Math.min(cells, COLUMNS);
  return { total, each, columns, lines: Math.ceil(cells / columns) };
}

/** @param {[string, number][]} parts @param {{ each: number, columns: number, lines: number }} size */
function pictureOf(parts, { each, columns, lines }) {
  const svg = makeSvg("svg", { viewBox: `0 0 ${columns * 10} ${lines * 10}` });
  setAttributes(svg, { role: "img", "aria-label": parts.map(([status, n]) => `${n} ${status}`).join(", ") });
  let cell = 0, runs = 0;
  for (const [status, n] of parts) {
    runs += n;
    let path = "";
    for (const last = Math.ceil(runs / each); cell < last; cell += 1) {
      path += `M${(cell % columns) * 10 + 1} ${Math.floor(cell / columns) * 10 + 1}${SHAPES[stateOf(status)] ?? SHAPES.done}`;
    }
    const title = makeSvg("title", {});
    title.textContent = `${n} ${status}`;
    svg.append(makeSvg("path", { d: path, class: "pf-heat-cells", "data-state": stateOf(status) }, title));
  }
  return svg;
}
