// @ts-check
// A small picture of a flow that its pane does not hold: a dot a node, and the part that is in sight.

import { makeSvg, setAttributes } from "../base/js/dom.js";

/** @typedef {import("./viewport.js").Point} Point */
/** @typedef {import("./viewport.js").Size} Size */

/** Pixels at most. */
const WIDE = 132, HIGH = 84;

/** @param {(point: Point) => void} goTo what a press on it does */
export function miniMapOf(goTo) {
  const svg = makeSvg("svg", { class: "pf-mini", "aria-hidden": "true" }), frame = makeSvg("rect", { class: "pf-mini-frame", rx: 2 });
  /** @type {Map<string, Element>} */
  let dots = new Map();
  /** @type {Size} */
  let picture = { width: 1, height: 1 };

  /** @param {Size} size @param {Map<string, Point>} centres */
  function draw(size, centres) {
    picture = size;
    const scale = Math.min(WIDE / size.width, HIGH / size.height), unit = 1 / scale;
    setAttributes(svg, { viewBox: `0 0 ${size.width} ${size.height}`, width: Math.max(size.width * scale, 18), height: Math.max(size.height * scale, 14) });
    const width = Math.max(54, 3 * unit), height = Math.max(26, 3 * unit);
    dots = new Map([...centres].map(([path, { x, y }]) => (
      [path, makeSvg("rect", { class: "pf-mini-node", x: x - width / 2, y: y - height / 2, width, height, rx: unit })]
    )));
    svg.replaceChildren(...dots.values(), frame);
  }

  /** @param {string} path @param {string} status */
  function mark(path, status) {
    dots.get(path)?.setAttribute("data-state", status);
  }

  /** @param {import("./viewport.js").Place} place @param {Size} pane */
  function show({ x, y, scale }, pane) {
    setAttributes(frame, { x, y, width: pane.width / scale, height: pane.height / scale });
  }

  /** @param {PointerEvent} event */
  function follow(event) {
    const box = svg.getBoundingClientRect();
    goTo({ x: ((event.clientX - box.left) / box.width) * picture.width, y: ((event.clientY - box.top) / box.height) * picture.height });
    event.preventDefault();
    event.stopPropagation();
  }

  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    follow(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (svg.hasPointerCapture(event.pointerId)) follow(event);
  });
  return { el: svg, draw, mark, show };
}
