// @ts-check
// What the parts of a run view share: the model, whether runs are live, and the colours of nodes.

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {ReturnType<typeof viewOf>} View */

const LIVE = ["running", "pending", "paused", "asking"];
/** Colours that the style sheet has for bars. */
const COLOURS = 6;

/** @param {string} status */
export function isLiveStatus(status) {
  return LIVE.includes(status);
}

/** @param {Model} model @param {HTMLElement} root */
export function viewOf(model, root) {
  /** @type {Map<string, number>} */
  const colours = new Map();
  const view = {
    model, root,
    /** Whether the kernel went while runs were live. */
    isGone: false,
    /** When the first of the runs began, by this page's clock, ms; null before.
     *  @type {number | null} */
    begun: null,
    send: (/** @type {object} */ message) => model.send(message),
    /** @returns {Record<string, string>} */
    glyphs: () => model.get("icons"),
    isLive: () => isLiveStatus(model.get("header").status),
    /** Milliseconds since the first of the runs began. */
    elapsed: () => (view.begun === null ? 1 : performance.now() - view.begun),
    /** Colour of a node's bars: by the order in which nodes were seen, so that it stays. @param {string} node */
    colour(node) {
      const known = colours.get(node) ?? colours.size % COLOURS;
      colours.set(node, known);
      return known;
    },
  };
  if (view.isLive()) view.begun = performance.now() - ageOf(model.get("header").epoch, Date.now());
  return view;
}

/** How long runs were going on when this page came to see them, ms, by the clocks of both machines.
 *  @param {number | null | undefined} epoch when they began, s @param {number} now ms */
export function ageOf(epoch, now) {
  return epoch ? Math.max(now - epoch * 1000, 0) : 0;
}
