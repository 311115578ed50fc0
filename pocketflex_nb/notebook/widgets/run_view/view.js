// @ts-check
// What the parts of a run view share: the model, whether runs are live, and the colours of nodes.

import { announcerOf } from "../base/js/announcer.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {ReturnType<typeof viewOf>} View */

const LIVE = ["running", "pending", "paused", "asking"];
/** Part of its height that a view takes by itself, and of the window's; a taller one is as tall as its author says. */
const COMPACT = 0.84, WINDOW = 0.44, USUAL_HEIGHT = 500, LEAST_HEIGHT = 240;
/** Pixels of its strip, timeline and tabs. */
const AROUND = 122;

/** @param {string} status */
export function isLiveStatus(status) {
  return LIVE.includes(status);
}

/** @param {Model} model @param {HTMLElement} root */
export function viewOf(model, root) {
  /** @type {Map<string, number>} */
  const strangers = new Map();
  const view = {
    model, root,
    /** Whether the kernel went while runs were live. */
    isGone: false,
    /** When the first of the runs began, by this page's clock, ms; null before.
     *  @type {number | null} */
    begun: null,
    /** When it began by the kernel's clock, s: another view level has other runs. @type {number | null} */
    epoch: null,
    announcer: announcerOf("pf-spoken"),
    /** What each error card shows. @type {WeakMap<Element, object>} */
    errors: new WeakMap(),
    /** Show the store of the runs in focus. */
    openStore: () => {},
    /** Ask the kernel for a text that goes into the clipboard. @type {(message: object) => void} */
    copyText: (message) => model.send(message),
    /** Pixels that it takes before a person opens more. */
    cap: () => capOf(Number(model.get("height")) || USUAL_HEIGHT, window.innerHeight),
    /** Pixels of height for diagram and lanes. */
    room: () => Math.max(view.cap() - AROUND, 120),
    send: (/** @type {object} */ message) => model.send(message),
    /** Open the visit that was clicked in the drawer; the second gets the focus back.
     *  @type {(request: Record<string, unknown>, from: () => HTMLElement | SVGElement | null) => void} */
    openVisit: () => {},
    /** @returns {Record<string, string>} */
    glyphs: () => model.get("icons"),
    isLive: () => isLiveStatus(model.get("header").status),
    /** Milliseconds since the first of the shown runs began. */
    elapsed() {
      if (view.begun === null) return 1;
      const { epoch } = view.model.get("header");
      view.epoch ??= epoch ?? null;
      return performance.now() - view.begun - (epoch && view.epoch ? (epoch - view.epoch) * 1000 : 0);
    },
    /** Number of a node's colour: its place in its flow, the same in every view; of a node that is none of its flow's, the next that is free.
     *  @param {string} node @returns {number} */
    colour(node) {
      const told = model.get("colours")?.[node];
      if (told !== undefined) return told;
      const known = strangers.get(node) ?? Object.keys(model.get("colours") ?? {}).length + strangers.size;
      strangers.set(node, known);
      return known;
    },
  };
  if (view.isLive()) view.begun = performance.now() - ageOf(model.get("header").epoch, Date.now());
  return view;
}

/** How tall a view opens, px. @param {number} height what it may take at most @param {number} windows height of the window */
export function capOf(height, windows) {
  const most = Math.round(Math.max(height, LEAST_HEIGHT) * COMPACT);
  return height > USUAL_HEIGHT || !windows ? most : Math.max(Math.min(most, Math.round(windows * WINDOW)), LEAST_HEIGHT);
}

/** How long runs were going on when this page came to see them, ms, by the clocks of both machines.
 *  @param {number | null | undefined} epoch when they began, s @param {number} now ms */
export function ageOf(epoch, now) {
  return epoch ? Math.max(now - epoch * 1000, 0) : 0;
}
