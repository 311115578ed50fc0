// @ts-check
// What a screen reader is told of a view: how things stand, at most once in three seconds; failures and questions at once, with their text.

import { make, setAttributes, write } from "./dom.js";

/** Milliseconds between two announcements, and between two urgent ones. */
const CALM = 3000, URGENT = 1000;
/** Urgent texts that are told together. */
const TOGETHER = 3;

/** @param {string} cls of the two regions, which nobody sees */
export function announcerOf(cls) {
  const calm = make("div", cls), urgent = make("div", cls);
  setAttributes(calm, { role: "status", "aria-live": "polite" });
  setAttributes(urgent, { role: "alert", "aria-live": "assertive" });
  const spoken = spaced(CALM, (texts) => write(calm, texts[texts.length - 1]));
  const called = spaced(URGENT, (texts) => {
    const more = texts.length - TOGETHER;
    urgent.textContent = [...texts.slice(0, TOGETHER), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
  });
  return {
    els: [calm, urgent], say: spoken.say, call: called.say,
    end() {
      spoken.end();
      called.end();
    },
  };
}

/** Tell the first at once, and what comes within `rest` ms after it together. @param {number} rest @param {(texts: string[]) => void} tell */
function spaced(rest, tell) {
  let timer = 0;
  /** @type {string[]} */
  let waiting = [];
  const next = () => {
    timer = 0;
    if (!waiting.length) return;
    const texts = waiting;
    waiting = [];
    tell(texts);
    timer = window.setTimeout(next, rest);
  };
  return {
    say(/** @type {string} */ text) {
      waiting.push(text);
      if (!timer) next();
    },
    end: () => clearTimeout(timer),
  };
}
