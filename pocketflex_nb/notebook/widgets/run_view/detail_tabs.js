// @ts-check
// The tabs below: what a step changed, its messages, the store, errors and events.

import { focusIn, isSelecting, make, makeButton, setAttributes } from "../base/js/dom.js";
import { chooseTab, walkTabs } from "../base/js/roving.js";
import { searchField } from "../base/js/search_field.js";
import { conversationOf } from "./conversation.js";
import { errorCardOf } from "./error_card.js";
import { storeFieldOf } from "./private_stores.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {{ tab?: string, rows?: string[][], cards?: import("./error_card.js").RunError[], note?: string }} Panel */

/** @type {Record<string, string>} */
const TABS = { diff: "Diff", conversation: "Conversation", messages: "Messages", store: "Store", error: "Error", events: "Events" };
/** Tabs whose rows belong to visits. */
const OPENING = ["diff", "messages", "events"];
let panels = 0;

/** @param {View} view */
export function detailTabsOf(view) {
  panels += 1;
  const el = make("div", "pf-panel"), bar = make("div", "pf-panel-bar"), tabs = make("div", "pf-panel-tabs");
  const talk = conversationOf(view);
  let isOpen = false;
  const find = searchField("pf-find", "Search in this tab", "Search"), body = make("div", "pf-panel-body");
  setAttributes(tabs, { role: "tablist", "aria-label": "About this step" });
  walkTabs(tabs);
  find.title = "Keep the rows with this text (/)";
  find.addEventListener("input", draw);
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    find.value = "";
    draw();
    view.root.focus();
    event.stopPropagation();
  });
  body.id = `pf-panel-${panels}`;
  body.setAttribute("role", "tabpanel");
  body.tabIndex = 0;
  bar.append(tabs);
  const stores = storeFieldOf(view);
  el.append(find, stores.el, body);

  function drawTabs() {
    /** @type {string[]} */
    const names = view.model.get("tabs");
    tabs.hidden = !names.length;
    tabs.replaceChildren(...names.map((name) => {
      const tab = makeButton(TABS[name], "pf-panel-tab", () => (isOpen && shown() === name ? fold(true) : open(name)));
      tab.dataset.tab = name;
      setAttributes(tab, { role: "tab", "aria-controls": body.id });
      return tab;
    }));
    fold(!isOpen);
  }

  function shown() {
    return /** @type {Panel} */ (view.model.get("tab_content")).tab;
  }

  /** @param {string} name */
  function open(name) {
    if (!view.model.get("tabs").includes(name)) return;
    fold(false);
    if (shown() !== name) view.send({ do: "tab", name });
  }

  /** Open the tabs, and go into the field. */
  function search() {
    if (tabs.hidden) return;
    fold(false);
    find.focus();
  }

  /** @param {boolean} isFolded */
  function fold(isFolded) {
    isOpen = !isFolded;
    el.hidden = isFolded || tabs.hidden;
    view.root.dataset.details = String(!el.hidden);
    draw();
  }

  function draw() {
    const here = shown();
    if (!here) return;
    markTabs(here);
    if (isOpen) drawBody(here);
  }

  /** @param {string} here */
  function markTabs(here) {
    chooseTab(tabs, (tab) => isOpen && tab.dataset.tab === here);
    for (const tab of /** @type {HTMLElement[]} */ ([...tabs.children])) {
      const is = tab.dataset.tab === here;
      setAttributes(tab, { "aria-expanded": is && isOpen, title: is && isOpen ? "Fold" : "" });
      if (is) tab.tabIndex = 0;
    }
  }

  /** @param {string} here */
  function drawBody(here) {
    /** @type {Panel} */
    const { rows = [], cards = [], note } = view.model.get("tab_content");
    const wanted = find.value.trim().toLowerCase(), kept = rowsWith(rows, wanted);
    if (here === "conversation") {
      drawTalk(wanted);
      return;
    }
    stores.draw(view.model.get("tab_content"));
    const lines = kept.map((row) => lineOfRow(row, here));
    for (const card of cards) lines.push(errorCardOf(card));
    if (!kept.length && rows.length) lines.push(make("div", "pf-note", "Nothing has this text."));
    if (note) lines.push(make("div", "pf-note", note));
    body.dataset.tab = here;
    body.tabIndex = 0;
    body.setAttribute("aria-label", TABS[here]);
    const at = openers().indexOf(/** @type {HTMLElement} */ (focusIn(body)));
    body.replaceChildren(...lines);
    if (at >= 0) (openers()[at] ?? body).focus({ preventScroll: true });
  }

  /** @param {string} wanted */
  function drawTalk(wanted) {
    stores.draw({});
    talk.draw(wanted);
    body.dataset.tab = "conversation";
    body.tabIndex = -1;    // its list is the stop of Tab
    body.setAttribute("aria-label", TABS.conversation);
    if (talk.el.parentNode !== body) body.replaceChildren(talk.el);
  }

  function openers() {
    return /** @type {HTMLElement[]} */ ([...body.querySelectorAll(".pf-row[role=button]")]);
  }

  /** Open the visit that a row tells of. @param {Event} event */
  function enter(event) {
    const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".pf-row[role=button]"));
    if (!row || view.isGone || isSelecting(row)) return;
    const at = openers().indexOf(row);
    const request = shown() === "diff" ? { step: true } : { moment: row.children[0].textContent, where: row.children[2].textContent };
    view.openVisit(request, () => openers()[at] ?? body);
    event.preventDefault();
    event.stopPropagation();
  }
  body.addEventListener("click", enter);
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (["Enter", " "].includes(event.key) && event.target !== body) {
      enter(event);
      return;
    }
    const all = openers(), to = rowReached(event.key, all.indexOf(/** @type {HTMLElement} */ (event.target)), all.length);
    if (to === undefined) return;
    all[to].focus();
    event.preventDefault();
    event.stopPropagation();
  });

  return { el, bar, find, body, drawTabs, draw, open, unfold: () => fold(!!tabs.hidden), search, end: talk.end };
}

/** The rows with a text, in any of their cells. @param {string[][]} rows @param {string} wanted in small letters */
export function rowsWith(rows, wanted) {
  return wanted ? rows.filter((row) => row.join(" ").toLowerCase().includes(wanted)) : rows;
}

/** @param {string[]} row @param {string} tab */
function lineOfRow(row, tab) {
  const line = make("div", `pf-row pf-row-${tab}`);
  line.append(...row.map((text, k) => make("span", `pf-cell pf-cell-${k}`, text)));
  if (tab === "diff") line.dataset.sign = row[0];
  if (!OPENING.includes(tab)) return line;
  line.tabIndex = -1;
  line.title = "Open the visit";
  line.setAttribute("role", "button");
  return line;
}

/** The row that a key leads to, from the list itself to its first; undefined where it leads nowhere.
 *  @param {string} key @param {number} at @param {number} count */
export function rowReached(key, at, count) {
  if (!count || !["ArrowDown", "ArrowUp", "Home", "End"].includes(key)) return undefined;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : Math.min(Math.max(at + (key === "ArrowDown" ? 1 : -1), 0), count - 1);
}
