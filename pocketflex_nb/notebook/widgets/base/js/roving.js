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

/** Make the buttons of a list's rows one stop of Tab, however the rows come and go: Up and Down lead from row to row, Left and Right along
 *  the buttons of a row that has several, Home and End to the first and last row. The returned function ends that.
 *  @param {HTMLElement} list @param {string} rows selector of what holds the buttons of one row */
export function walkRowButtons(list, rows) {
  const buttonsOf = (/** @type {Element} */ el) => /** @type {HTMLButtonElement[]} */ ([...el.querySelectorAll("button")]).filter(isReachable);
  const all = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll(rows)]).filter((row) => buttonsOf(row).length);
  /** @type {HTMLElement | null} */
  let stop = null;

  function settle() {
    const held = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(`:is(${rows}) button`)]), free = all().flatMap(buttonsOf);
    if (!stop || !free.includes(/** @type {HTMLButtonElement} */ (stop))) stop = free[0] ?? null;
    for (const button of held) {
      const index = button === stop ? 0 : -1;
      if (button.tabIndex !== index) button.tabIndex = index;
    }
  }

  list.addEventListener("keydown", (event) => {
    const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(rows)), here = focusIn(list);
    if (!row || !here || here.tagName !== "BUTTON" || event.ctrlKey || event.metaKey || event.altKey) return;
    const mine = buttonsOf(row), at = mine.indexOf(/** @type {HTMLButtonElement} */ (here)), lines = all();
    const along = mine.length > 1 && event.key.startsWith("Arrow") ? reached(event.key, at, mine.length) : undefined;
    const to = along === undefined ? reached(event.key, lines.indexOf(row), lines.length, "column") : undefined;
    const next = along === undefined ? to === undefined ? null : nearestButton(buttonsOf(lines[to]), at, mine.length) : mine[along];
    if (!next) return;
    next.focus();
    event.preventDefault();
    event.stopPropagation();
  });
  list.addEventListener("focusin", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.tagName !== "BUTTON" || !target.closest(rows)) return;
    stop = target;
    settle();
  });
  const watcher = new MutationObserver(settle);
  watcher.observe(list, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden", "disabled"] });
  settle();
  return () => watcher.disconnect();
}

/** The button of another row in the same place, counted from the nearer end. @param {HTMLElement[]} buttons @param {number} at @param {number} count */
function nearestButton(buttons, at, count) {
  return at === count - 1 && at > 0 ? buttons[buttons.length - 1] : buttons[Math.min(at, buttons.length - 1)];
}

/** @param {HTMLButtonElement} button */
function isReachable(button) {
  return !button.disabled && !button.closest("[hidden]") && button.style.visibility !== "hidden";
}

/** Mark the chosen tab, the only one that Tab reaches. @param {HTMLElement} list @param {(tab: HTMLElement, index: number) => boolean} isChosen */
export function chooseTab(list, isChosen) {
  /** @type {HTMLElement[]} */ ([...list.children]).forEach((tab, index) => {
    const is = isChosen(tab, index);
    tab.setAttribute("aria-selected", String(is));
    tab.tabIndex = is ? 0 : -1;
  });
}
