// @ts-check
// Stores of their own that flows walk on: chosen in the Store tab, and opened from the box of the flow.

import { make, makeOption } from "../base/js/dom.js";

/** @typedef {import("./view.js").View} View */

/** The field above the Store tab that chooses among the stores of a run. @param {View} view */
export function storeFieldOf(view) {
  const el = make("label", "pf-stores"), field = make("select", "pf-input pf-store-field");
  el.append(make("span", "", "Store"), field);
  let told = "";
  field.addEventListener("change", () => view.send({ do: "store", place: field.value }));

  /** Offer what there is to choose; nothing where there is one store, or another tab is shown.
   *  @param {{ tab?: string, stores?: [string, string][], place?: string }} content */
  function draw({ tab, stores = [], place = "" }) {
    el.hidden = tab !== "store" || stores.length < 2 || view.isGone;
    const now = JSON.stringify(stores);
    if (now !== told) field.replaceChildren(...stores.map(([address, words]) => makeOption(address, words)));
    told = now;
    if (field.value !== place) field.value = place;
  }

  return { el, draw };
}

/** Let a press on the title of a flow with a private store open that store; by keys it is chosen in the tab.
 *  @param {View} view @param {HTMLElement} pane the part of the page that holds the picture @param {() => number} chosenFlow
 *  @param {() => void} open shows the Store tab */
export function openStoresFrom(view, pane, chosenFlow, open) {
  pane.addEventListener("click", (event) => {
    const box = /** @type {Element} */ (event.target).closest(".pf-title")?.closest(".pf-group.pf-private"), node = box?.getAttribute("data-node");
    if (node === null || node === undefined || view.isGone) return;
    view.send({ do: "store", node, flow: chosenFlow() });
    open();
  });
}
