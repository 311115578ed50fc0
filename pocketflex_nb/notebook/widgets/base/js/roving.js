// @ts-check
// Arrow keys go from one entry of a group to the next; Tab enters and leaves the group as a whole.

import { focusIn } from "./dom.js";

/** The entry that a key leads to, round the ends; undefined when the key leads nowhere.
 *  @param {string} key @param {number} here @param {number} count @param {"row" | "column" | "both"} [along] */
export function reached(key, here, count, along = "row") {
  /** @type {Record<string, number>} */
  const moves = { Home: 0, End: count - 1 };
  if (along !== "column") Object.assign(moves, { ArrowRight: here + 1, ArrowLeft: here - 1 });
  if (along !== "row") Object.assign(moves, { ArrowDown: here + 1, ArrowUp: here - 1 });
  const to = moves[key];
  return to === undefined || !count ? undefined : (to + count) % count;
}

/** Let arrow keys move the focus among the tabs of a list, and choose what they reach.
 *  @param {HTMLElement} list with `role=tablist` */
export function walkTabs(list) {
  list.addEventListener("keydown", (event) => {
    const all = /** @type {HTMLElement[]} */ ([...list.children]);
    const here = all.findIndex((tab) => tab.contains(focusIn(list)));
    const to = here < 0 ? undefined : reached(event.key, here, all.length);
    if (to === undefined) return;
    if (to !== here) all[to]?.click();
    /** @type {HTMLElement} */ (list.children[to]).focus();
    event.preventDefault();
    event.stopPropagation();
  });
}

/** Make the buttons of a bar one stop of Tab, among which arrow keys go. @param {HTMLElement} bar */
export function walkButtons(bar) {
  const buttons = () => /** @type {HTMLElement[]} */ ([...bar.querySelectorAll("button")]).filter((button) => !button.hidden);
  for (const [k, button] of buttons().entries()) button.tabIndex = k ? -1 : 0;
  bar.addEventListener("keydown", (event) => {
    const all = buttons(), to = reached(event.key, all.indexOf(/** @type {HTMLElement} */ (focusIn(bar))), all.length);
    if (to === undefined) return;
    all[to].focus();
    event.preventDefault();
    event.stopPropagation();
  });
  bar.addEventListener("focusin", (event) => {
    for (const button of buttons()) button.tabIndex = button === event.target ? 0 : -1;
  });
}

/** Mark the chosen tab, the only one that Tab reaches. @param {HTMLElement} list @param {(tab: HTMLElement, index: number) => boolean} isChosen */
export function chooseTab(list, isChosen) {
  /** @type {HTMLElement[]} */ ([...list.children]).forEach((tab, index) => {
    const is = isChosen(tab, index);
    tab.setAttribute("aria-selected", String(is));
    tab.tabIndex = is ? 0 : -1;
  });
}
