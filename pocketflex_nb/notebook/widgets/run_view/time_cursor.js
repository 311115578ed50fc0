// @ts-check
// The time cursor: a playhead on the timeline, a slider over the steps, and two buttons.

import { make, makeButton, signButton } from "../base/js/dom.js";
import { slidBy, throttled } from "../base/js/throttle.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {ReturnType<typeof playheadOf>} Playhead */
/** @typedef {{ at: number, of: number, live: boolean, ms: number | null, text: string }} Cursor */

/** The line on the timeline; `end` is when the timeline ends, ms. @param {View} view */
export function playheadOf(view) {
  const el = make("div", "pf-needle");
  const playhead = {
    el, end: 1,
    draw() {
      /** @type {Cursor | null} */
      const cursor = view.model.get("cursor");
      const ms = !cursor || cursor.live ? null : cursor.ms;
      el.hidden = ms === null;
      if (ms !== null) el.style.left = `${Math.min(Math.max(ms / playhead.end, 0), 1) * 100}%`;
    },
  };
  return playhead;
}

/** @param {View} view @param {Playhead} playhead */
export function timeCursorOf(view, playhead) {
  const el = make("div", "pf-transport"), slider = make("input", "pf-slider"), place = make("span", "pf-place");
  const back = signButton("‹", "pf-button pf-step", "One step back", () => view.send({ do: "cursor", by: -1 }), "left arrow");
  const forth = signButton("›", "pf-button pf-step", "One step forward", () => view.send({ do: "cursor", by: 1 }), "right arrow");
  const now = makeButton("Live", "pf-button pf-now", () => view.send({ do: "live" }), "Back to how it stands now (End)");
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", "Time: steps finished");
  el.append(back, slider, forth, now, place);
  const { seek, end } = throttled(view.send), hand = slidBy(slider);
  slider.addEventListener("input", () => seek({ do: "cursor", step: Number(slider.value) }));

  function draw() {
    /** @type {Cursor | null} */
    const cursor = view.model.get("cursor");
    el.hidden = !cursor?.of;
    if (!cursor?.of) return;
    view.root.dataset.past = String(!cursor.live);
    slider.max = String(cursor.of);
    hand.show(cursor.at);
    slider.setAttribute("aria-valuetext", `step ${cursor.at} of ${cursor.of}: ${cursor.text}`);
    back.disabled = view.isGone || cursor.at <= 0;
    forth.disabled = view.isGone || cursor.live;
    slider.disabled = view.isGone;
    now.hidden = cursor.live;
    now.textContent = view.isLive() ? "Live" : "End";
    place.replaceChildren(make("strong", "", `step ${cursor.at} of ${cursor.of}`), make("span", "", cursor.text ? `  ${cursor.text}` : ""));
    playhead.draw();
  }

  return { el, draw, seek, end };
}

/** Pixels of a press that goes no further. */
const PRESSED = 4;

/** Let the pointer take the playhead along the timeline.
 *  @param {View} view @param {HTMLElement} timeline @param {Playhead} playhead @param {(message: object) => void} seek */
export function dragPlayhead(view, timeline, playhead, seek) {
  const frame = () => timeline.querySelector(".pf-timeline-frame");
  let from = 0, isDragged = false;
  /** @type {Element | null} */
  let pressed = null;
  const move = (/** @type {PointerEvent} */ event) => {
    if (!isDragged && Math.abs(event.clientX - from) < PRESSED) return;
    isDragged = true;
    const box = (frame() ?? timeline).getBoundingClientRect();    // asked for each time: bars are drawn anew meanwhile
    seek({ do: "cursor", ms: Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * playhead.end });
  };
  const end = (/** @type {PointerEvent} */ event) => {
    // the click itself goes to the timeline, which has the pointer
    if (event.type === "pointerup" && !isDragged) pressed?.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: event.clientX, clientY: event.clientY }));
    timeline.removeEventListener("pointermove", move);
    timeline.removeEventListener("pointerup", end);
    timeline.removeEventListener("pointercancel", end);
  };
  timeline.addEventListener("pointerdown", (event) => {
    if (view.isGone || !frame()?.contains(/** @type {Node} */ (event.target))) return;
    pressed = /** @type {Element} */ (event.target).closest(".pf-bar, .pf-mark");
    from = pressed ? event.clientX : Number.NEGATIVE_INFINITY;     // a press on a bar opens its visit, unless the pointer goes on
    isDragged = false;
    timeline.setPointerCapture(event.pointerId);
    timeline.addEventListener("pointermove", move);
    timeline.addEventListener("pointerup", end);
    timeline.addEventListener("pointercancel", end);
    if (!pressed) move(event);
    event.preventDefault();
  });
}
