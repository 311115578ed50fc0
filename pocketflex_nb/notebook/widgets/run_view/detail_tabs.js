// @ts-check
// The tabs below: what a step changed, its messages, the store, errors and events.

import { make, makeButton, setAttributes } from "../base/js/dom.js";
import { chooseTab, walkTabs } from "../base/js/roving.js";
import { searchField } from "../base/js/search_field.js";
import { errorCardOf } from "./error_card.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {{ tab?: string, rows?: string[][], cards?: import("./error_card.js").RunError[], note?: string }} Panel */

/** @type {Record<string, string>} */
const TABS = { diff: "Diff", messages: "Messages", store: "Store", error: "Error", events: "Events" };
let panels = 0;

/** @param {View} view */
export function detailTabsOf(view) {
  panels += 1;
  const el = make("div", "pf-panel"), bar = make("div", "pf-panel-bar"), tabs = make("div", "pf-panel-tabs");
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
  bar.append(tabs, find);
  el.append(bar, body);

  function drawTabs() {
    /** @type {string[]} */
    const names = view.model.get("tabs");
    el.hidden = !names.length;
    tabs.replaceChildren(...names.map((name) => {
      const tab = makeButton(TABS[name], "pf-panel-tab", () => view.send({ do: "tab", name }));
      tab.dataset.tab = name;
      setAttributes(tab, { role: "tab", "aria-controls": body.id });
      return tab;
    }));
  }

  function draw() {
    /** @type {Panel} */
    const { tab: shown, rows = [], cards = [], note } = view.model.get("tab_content");
    if (!shown) return;
    chooseTab(tabs, (tab) => tab.dataset.tab === shown);
    const wanted = find.value.trim().toLowerCase(), kept = rowsWith(rows, wanted);
    const lines = kept.map((row) => lineOfRow(row, shown));
    for (const card of cards) lines.push(errorCardOf(card, false));
    if (!kept.length && rows.length) lines.push(make("div", "pf-note", "Nothing has this text."));
    if (note) lines.push(make("div", "pf-note", note));
    body.dataset.tab = shown;
    body.setAttribute("aria-label", TABS[shown]);
    body.replaceChildren(...lines);
  }

  return { el, find, body, drawTabs, draw };
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
  return line;
}
