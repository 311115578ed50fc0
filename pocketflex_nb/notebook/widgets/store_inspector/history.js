// @ts-check
// The bar that goes back in time, and what differs from the step before or another store.

import { make, makeButton, makeOption, signButton } from "../base/js/dom.js";
import { slidBy, throttled } from "../base/js/throttle.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {{
 *   title: string, keys: number, version: number | null | undefined, live: boolean, at: number, of: number, place: string, changed: boolean,
 *   filter: string, others: string[], base: string, form: string, note: string, why: string,
 * }} Head */

/** @param {Model} model */
export function timeBarOf(model) {
  const el = make("div", "pf-store-time");
  const send = (/** @type {object} */ message) => model.send(message);
  const step = (/** @type {number} */ by) => send({ do: "step", by });   // relative: quick clicks add up
  const back = signButton("‹", "pf-store-button pf-store-step", "One step back", () => step(-1), "[");
  const forth = signButton("›", "pf-store-button pf-store-step", "One step forward", () => step(1), "]");
  const slider = make("input", "pf-store-slider"), place = make("span", "pf-store-place");
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", "Time: steps that wrote");
  const now = makeButton("Live", "pf-store-button pf-store-now", () => send({ do: "live" }), "Back to how it is now");
  const seed = makeButton(
    "Use as seed", "pf-store-button", () => send({ do: "seed" }), "Put a copy of the store, as shown, into a variable of the notebook",
  );
  const onlyLabel = make("label", "pf-store-only"), only = make("input"), base = make("select", "pf-store-base");
  only.type = "checkbox";
  only.addEventListener("change", () => send({ do: "changed", on: only.checked }));
  onlyLabel.append(only, "only changed");
  base.setAttribute("aria-label", "Compare with");
  base.addEventListener("change", () => send({ do: "base", name: base.value }));
  el.append(back, slider, forth, now, place, base, onlyLabel, seed);

  const { seek, end } = throttled(send), hand = slidBy(slider);
  slider.addEventListener("input", () => seek({ do: "place", at: Number(slider.value) }));

  /** @param {Head} head */
  function draw(head) {
    const isKept = isVersioned(head);
    for (const part of [back, slider, forth, place]) part.hidden = !isKept || !head.of;
    now.hidden = head.live;
    slider.max = String(head.of);
    hand.show(head.at);
    slider.setAttribute("aria-valuetext", `${head.at} of ${head.of}: ${head.place}`);
    back.disabled = head.at <= 0;
    forth.disabled = head.live;
    place.textContent = `${head.at} of ${head.of}  ${head.place}`;
    place.title = head.place;
    only.checked = head.changed;
    const choices = basesOf(head), told = JSON.stringify(choices);
    if (base.dataset.told !== told) {
      base.dataset.told = told;
      base.replaceChildren(...choices.map(([value, text]) => makeOption(value, `compare with ${text}`)));
    }
    base.value = head.base;
    base.hidden = choices.length < 2;
  }

  return { el, draw, step, end };
}

/** Whether the store keeps versions, as a plain dict does not. @param {Head} head */
export function isVersioned({ version }) {
  return version !== null && version !== undefined;
}

/** What the store can be compared with. @param {Head} head @returns {[string, string][]} */
export function basesOf(head) {
  /** @type {[string, string][]} */
  const own = isVersioned(head) ? [["before", "the step before"], ["start", "the start"]] : [["before", "nothing"]];
  return [...own, .../** @type {[string, string][]} */ (head.others.map((name) => [name, name]))];
}

/** @param {Model} model */
export function differenceOf(model) {
  const el = make("div", "pf-store-diff");
  el.setAttribute("aria-label", "What differs");
  /** @type {Record<string, string>} */
  const titles = { before: "Changed in this step", start: "Changed since the start" };

  function draw() {
    /** @type {[string, string, string][]} */
    const lines = model.get("diff");
    const { base } = model.get("head");
    el.hidden = !lines.length;
    el.replaceChildren(make("div", "pf-store-over", titles[base] ?? `Against ${base}`), ...lines.map(([sign, where, text]) => {
      const line = make("div", "pf-store-change");
      line.dataset.sign = sign;
      line.append(make("span", "pf-store-sign", sign), make("span", "pf-store-name", where), make("span", "pf-store-value", text));
      return line;
    }));
  }

  return { el, draw };
}
