// @ts-check
// The strip of what waits, and for what: under the header, only while something does; its seconds run in the page.

import { make, write } from "../base/js/dom.js";
import { clock, sign } from "../base/js/status.js";

/** @typedef {import("./view.js").View} View */
/** Who waits, the words before the time, milliseconds since the first run's start, how the time is meant, the words behind it, how many
 *  wait so, and the kind. @typedef {[string, string, number | null, "left" | "for" | "clock" | "", string, number, string]} Pending */

/** Milliseconds for which the strip stays when nothing waits any more: it shall not blink between two waits. */
const LINGERS = 800;

/** @param {View} view */
export function pendingOf(view) {
  const el = make("div", "pf-pending"), list = make("ul", "pf-pending-list");
  el.hidden = true;
  list.setAttribute("aria-label", "What waits, and for what");
  el.append(sign(view.glyphs(), "waiting"), list);
  /** @type {{ item: Pending, time: HTMLElement }[]} */
  let shown = [];
  let timer = 0;

  function draw() {
    /** @type {Pending[]} */
    const items = view.isGone ? [] : (view.model.get("pending") ?? []);
    clearTimeout(timer);
    if (!items.length) {
      timer = window.setTimeout(clear, view.isLive() ? LINGERS : 0);
      return;
    }
    el.hidden = false;
    shown = items.map((item, k) => ({ item, time: writeItem(list, k, item) }));
    while (list.children.length > items.length) list.lastElementChild?.remove();
    tick();
  }

  function clear() {
    shown = [];
    el.hidden = true;
    list.replaceChildren();
  }

  /** The seconds, by this page's clock. */
  function tick() {
    for (const { item, time } of shown) write(time, timeOf(item, view.elapsed()));
  }

  return { el, draw, tick, end: () => clearTimeout(timer) };
}

/** Write an item into the element at its place; returns the element of its time. @param {HTMLElement} list @param {number} k @param {Pending} item */
function writeItem(list, k, [who, before, , , after, number, kind]) {
  const known = list.children[k], el = known ?? list.appendChild(partsOfItem());
  const [name, words, time, behind] = /** @type {HTMLElement[]} */ ([...el.children]);
  el.setAttribute("data-kind", kind);
  write(name, who);
  write(words, `${who ? " " : ""}${number > 1 ? `${number.toLocaleString("en")} × ` : ""}${before}`);
  write(behind, after && ` ${after}`);
  return time;
}

function partsOfItem() {
  const el = make("li", "pf-pending-item");
  el.append(make("span", "pf-pending-who"), make("span", "pf-pending-words"), make("span", "pf-pending-time"), make("span", "pf-pending-words"));
  return el;
}

/** The time of an item as a word: what is left, or for how long it waits. @param {Pending} item @param {number} elapsed ms since the first run's start */
export function timeOf([, , at, mode], elapsed) {
  if (at === null || !mode) return "";
  if (mode === "left") return ` ${leftOf((at - elapsed) / 1000)}`;
  const seconds = Math.max(elapsed - at, 0) / 1000;
  return ` ${mode === "clock" ? minutes(seconds) : wholeClock(seconds)}`;
}

/** @param {number} seconds */
function leftOf(seconds) {
  if (seconds <= 0) return "now";
  return seconds < 9.95 ? clock(seconds) : wholeClock(seconds);
}

/** `4 s`, `1:05`. @param {number} seconds */
function wholeClock(seconds) {
  return seconds < 60 ? `${Math.floor(seconds)} s` : clock(seconds);
}

/** `00:41`. @param {number} seconds */
function minutes(seconds) {
  const whole = Math.floor(seconds);
  return whole >= 3600 ? clock(whole) : [Math.floor(whole / 60), whole % 60].map((n) => String(n).padStart(2, "0")).join(":");
}
