// @ts-check
// The pane of a diagram: fits it, follows what runs, and lets a person zoom and pan.

import { make, setAttributes, signButton } from "../base/js/dom.js";
import { walkButtons } from "../base/js/roving.js";
import { miniMapOf } from "./mini_map.js";
import { between, centred, clamped, fitOf, isSeen, LEAST, scaleOf, zoomed } from "./viewport.js";

/** @typedef {import("./diagram.js").Diagram} Diagram */
/** @typedef {import("./viewport.js").Place} Place */
/** @typedef {import("./viewport.js").Point} Point */

/** Milliseconds of a move, factor of one press and of one unit of the wheel. */
const TRAVEL = 220, FACTOR = 1.25, WHEEL = 0.0022;
/** Pixels below a long, low picture, where the map stands. */
const MAP_ROOM = 24;
/** Pixels by which a pointer moves before it pans: less is a click. */
const STILL = 4;

export function paneOf() {
  const el = make("div", "pf-graph"), tools = make("div", "pf-zoom");
  const map = miniMapOf((point) => {
    isFree = true;
    put(clamped(centred(point, place.scale, size()), pictureSize(), size()));
  });
  /** @type {Diagram | undefined} */
  let diagram;
  /** @type {Place} */
  let place = { x: 0, y: 0, scale: 1 };
  let isFree = false;       // whether a person chose the place
  let isPlaced = false, isTop = false, turn = 0;
  let measured = { width: 0, height: 0 };
  const fit = signButton("⤢", "pf-zoom-button", "Fit the diagram, and follow what runs", () => release(), "0");
  tools.append(
    signButton("−", "pf-zoom-button", "Smaller", () => zoom(1 / FACTOR), "-"), signButton("+", "pf-zoom-button", "Larger", () => zoom(FACTOR), "+"), fit,
  );
  setAttributes(tools, { role: "toolbar", "aria-label": "Size of the diagram" });
  walkButtons(tools);
  map.el.toggleAttribute("hidden", true);
  tools.hidden = true;

  function size() {
    return measured;
  }

  function pictureSize() {
    return diagram?.size ?? { width: 1, height: 1 };
  }

  /** @param {Diagram | undefined} next */
  function mount(next) {
    cancelAnimationFrame(turn);
    diagram = next;
    isFree = isPlaced = false;
    el.replaceChildren(...(next ? [next.el] : []), map.el, tools);
    el.style.setProperty("--pv-natural", `${Math.ceil(pictureSize().height)}px`);
    if (!next) return;
    next.build();
    next.onBuilt = () => {
      map.draw(pictureSize(), next.centres);
      for (const [path, [status]] of next.shown) map.mark(path, status);
      arrange();
    };
    if (next.isBuilt) next.onBuilt();
    arrange();
  }

  /** Lay the picture into a pane of another size, or another picture into the pane. */
  function arrange() {
    measured = { width: el.clientWidth, height: el.clientHeight };
    if (!diagram || !measured.width || !measured.height) return;
    const picture = pictureSize(), isWhole = fitOf(picture, size()) >= LEAST;
    isTop = !isWhole && picture.height * LEAST < measured.height;
    el.style.setProperty("--pv-natural", `${Math.ceil(isWhole ? picture.height : picture.height * LEAST + MAP_ROOM)}px`);
    put(isFree ? clamped(place, picture, size()) : fitted(diagram));
    isPlaced ||= diagram.isBuilt;
  }

  /** Where a picture stands that nobody has moved. @param {Diagram} shown */
  function fitted(shown) {
    const picture = pictureSize(), scale = scaleOf(picture, size());
    place = clamped({ ...place, scale }, picture, size());
    const point = targetOf() ?? (isPlaced ? undefined : shown.first());
    return point ? clamped(centred(point, scale, size()), picture, size()) : place;
  }

  /** @param {Place} next */
  function put(next) {
    cancelAnimationFrame(turn);
    place = isTop && next.y < 0 ? { ...next, y: 0 } : next;     // room for the map is below
    const { width, height } = size();
    if (!diagram || !width) return;
    diagram.el.setAttribute("viewBox", [place.x, place.y, width / place.scale, height / place.scale].map((n) => n.toFixed(1)).join(" "));
    const isPlain = !isFree && fitOf(pictureSize(), size()) >= LEAST;
    tools.hidden = isPlain;
    map.el.toggleAttribute("hidden", isPlain || isAllSeen());
    el.dataset.whole = String(isAllSeen());
    map.show(place, size());
  }

  function isAllSeen() {
    const picture = pictureSize(), { width, height } = size();
    return picture.width * place.scale <= width + 1 && picture.height * place.scale <= height + 1;
  }

  /** What runs now, the last of it that came if the pane does not hold it all. */
  function targetOf() {
    const points = diagram?.active() ?? [];
    if (!points.length) return undefined;
    const middle = { x: 0, y: 0 };
    for (const { x, y } of points) {
      middle.x += x / points.length;
      middle.y += y / points.length;
    }
    const there = centred(middle, place.scale, size());
    return points.every((point) => isSeen(point, there, size())) ? middle : points[points.length - 1];
  }

  /** Bring what runs into sight. */
  function follow() {
    for (const [path, [status]] of diagram?.changed() ?? []) map.mark(path, status);
    if (!diagram || isFree || !size().width) return;
    const points = diagram.active(), target = targetOf();
    if (!target || points.every((point) => isSeen(point, place, size()))) return;
    move(clamped(centred(target, place.scale, size()), pictureSize(), size()));
  }

  /** @param {Place} to */
  function move(to) {
    if (to.x === place.x && to.y === place.y && to.scale === place.scale) return;
    if (window.matchMedia?.("(prefers-reduced-motion: reduce)").matches) {
      put(to);
      return;
    }
    const from = place, begun = performance.now();
    const frame = () => {
      const part = Math.min((performance.now() - begun) / TRAVEL, 1);
      put(between(from, to, part * (2 - part)));
      if (part < 1) turn = requestAnimationFrame(frame);
    };
    cancelAnimationFrame(turn);
    turn = requestAnimationFrame(frame);
  }

  /** @param {number} factor @param {Point} [point] pixels in the pane; default: its middle */
  function zoom(factor, point = { x: size().width / 2, y: size().height / 2 }) {
    if (!diagram || !size().width) return;
    isFree = true;
    put(clamped(zoomed(place, factor, point), pictureSize(), size()));
  }

  /** Fit again, and follow. */
  function release() {
    isFree = false;
    if (el.contains(document.activeElement)) /** @type {HTMLElement | null} */ (el.closest(".pf-run-view"))?.focus();
    arrange();
  }

  el.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;    // the notebook scrolls
    const box = el.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * WHEEL), { x: event.clientX - box.left, y: event.clientY - box.top });
    event.preventDefault();
    event.stopPropagation();
  }, { passive: false });
  el.addEventListener("dblclick", (event) => {
    if (!(/** @type {Element} */ (event.target).closest(".pf-zoom"))) release();
  });
  el.addEventListener("pointerdown", (event) => {
    if (event.button || isAllSeen() || /** @type {Element} */ (event.target).closest(".pf-zoom, .pf-mini")) return;
    const from = { x: event.clientX, y: event.clientY }, begun = place;
    let isPanning = false;
    const moved = (/** @type {PointerEvent} */ now) => {
      const x = now.clientX - from.x, y = now.clientY - from.y;
      if (!isPanning && Math.hypot(x, y) < STILL) return;
      if (!isPanning) el.setPointerCapture(event.pointerId);
      isPanning = isFree = true;
      el.dataset.panning = "true";
      put(clamped({ ...begun, x: begun.x - x / begun.scale, y: begun.y - y / begun.scale }, pictureSize(), size()));
    };
    const ended = () => {
      el.dataset.panning = "false";
      for (const [name, heard] of /** @type {[string, any][]} */ ([["pointermove", moved], ["pointerup", ended], ["pointercancel", ended]])) {
        el.removeEventListener(name, heard);
      }
    };
    el.addEventListener("pointermove", moved);
    el.addEventListener("pointerup", ended);
    el.addEventListener("pointercancel", ended);
  });

  const watcher = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(arrange);
  watcher?.observe(el);
  return {
    el, mount, arrange, follow, zoom, release,
    end() {
      cancelAnimationFrame(turn);
      watcher?.disconnect();
    },
  };
}
