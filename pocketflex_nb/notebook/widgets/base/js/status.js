// @ts-check
// States and times, as every view writes them.

import { makeSvg } from "./dom.js";

/** States of runs and agents that have the colour and icon of another one.
 *  @type {Record<string, string>} */
const LOOKS_LIKE = { pending: "idle", paused: "waiting", unfinished: "waiting", stopped: "cancelled", restarting: "waiting", starting: "running" };

/** The state of the palette that a status is shown as. @param {string} status */
export function stateOf(status) {
  return LOOKS_LIKE[status] ?? status;
}

/** A disc with the icon of a state; without a label it is decoration, beside a word that says the same.
 *  @param {Record<string, string>} glyphs path data in a square of 12, by state @param {string} state of the palette
 *  @param {{ prefix?: string, label?: string }} [options] prefix of the classes */
export function sign(glyphs, state, { prefix = "pf-", label } = {}) {
  const disc = makeSvg("circle", { cx: 8, cy: 8, r: 8, class: `${prefix}disc` });
  const glyph = makeSvg("path", { d: glyphs[state] ?? "", transform: "translate(2,2)", class: `${prefix}glyph` });
  /** @type {Record<string, string>} */
  const said = label === undefined ? { "aria-hidden": "true" } : { role: "img", "aria-label": label };
  return makeSvg("svg", { viewBox: "0 0 16 16", class: `${prefix}dot`, "data-state": state, ...said }, disc, glyph);
}

/** `4.2 s`, `1:05`, `2:00:07`. @param {number} seconds */
export function clock(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  return h === "00" ? `${Number(m)}:${s}` : `${Number(h)}:${m}:${s}`;
}
