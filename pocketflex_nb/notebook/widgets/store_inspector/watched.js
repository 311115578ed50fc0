// @ts-check
// The values that stay in sight above the tree; a number with its curve.

import { focusIn, make, makeButton, makeSvg } from "../base/js/dom.js";

/** Path, text, writer, version, whether it is gone, and the last points of a number.
 *  @typedef {[string, string, string, number | null, boolean, number[]]} Watched */

/** @param {import("../base/js/model.js").Model} model */
export function watchedOf(model) {
  const el = make("section", "pf-store-pins");
  el.setAttribute("aria-label", "Watched");
  /** @type {Map<string, string>} what the watched values were when they were last drawn */
  const seen = new Map();

  function draw() {
    /** @type {Watched[]} */
    const watched = model.get("watched");
    el.hidden = !watched.length;
    const focus = focusIn(el), focused = focus && el.contains(focus) ? /** @type {HTMLElement} */ (focus).dataset.key : undefined;
    el.replaceChildren(make("div", "pf-store-over", "Watched"), ...watched.map(lineOfWatched));
    if (focused) [...el.querySelectorAll("button")].find((button) => button.dataset.key === focused)?.focus();
  }

  /** @param {Watched} watched */
  function lineOfWatched([path, text, who, version, gone, points]) {
    const line = make("div", "pf-store-pin");
    line.dataset.gone = String(gone);
    const name = makeButton(path, "pf-store-name pf-store-link", () => model.send({ do: "look", path }), "Look into it");
    name.dataset.key = `look ${path}`;
    const end = makeButton("×", "pf-store-button pf-store-end", () => model.send({ do: "unwatch", path }));
    end.setAttribute("aria-label", `Watch ${path} no more`);
    end.dataset.key = `end ${path}`;
    const value = make("div", "pf-store-value", text), writer = make("div", "pf-store-writer", who);
    value.title = text;
    writer.title = who;
    const last = seen.get(path);
    if (last !== undefined && last !== text) line.classList.add("pf-store-changed");
    seen.set(path, text);
    if (points.length > 1) value.append(curveOf(path, points));
    line.append(name, value, writer, make("div", "pf-store-version", version === null ? "" : `v${version}`), end);
    return line;
  }

  return { el, draw };
}

/** A number's way so far, in a box of 72 by 14. @param {string} path @param {number[]} points */
export function curveOf(path, points) {
  const low = Math.min(...points), high = Math.max(...points);
  const x = (/** @type {number} */ k) => (2 + (k / (points.length - 1)) * 68).toFixed(1);
  const y = (/** @type {number} */ n) => (12 - ((n - low) / (high - low || 1)) * 10).toFixed(1);
  const line = makeSvg("polyline", { points: points.map((n, k) => `${x(k)},${y(n)}`).join(" ") });
  const label = `${path}: from ${points[0]} to ${points[points.length - 1]}, between ${low} and ${high}`;
  return makeSvg("svg", { viewBox: "0 0 72 14", width: 72, height: 14, role: "img", "aria-label": label, class: "pf-store-curve" }, line);
}
