// @ts-check
// The runs that journals keep: filters as chips, a table whose rows are chosen, and what is done with the chosen ones.

import { counted, focusIn, make, makeButton, setAttributes, write } from "../base/js/dom.js";
import { hasKernel, listen, senderOf } from "../base/js/model.js";
import { walkButtons } from "../base/js/roving.js";
import { hideStatic } from "../base/js/static_fallback.js";
import { clock, sign, stateOf } from "../base/js/status.js";
import { asView } from "../base/js/view_root.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {{
 *   key: number, name: string, flow: string, status: string, begun: number, seconds: number, steps: number, tokens: number, cost: number,
 *   error: string, origin: string, journal: string, item: boolean,
 * }} Row */
/** @typedef {{ flow: string, state: string, age: number, cost: number, text: string }} Filters */

/** Ages of the chips, in seconds; 0: any. @type {[string, number][]} */
const AGES = [["any age", 0], ["1 h", 3600], ["1 day", 86400], ["7 days", 604800]];
/** Costs of the chips, at least. @type {[string, number][]} */
const COSTS = [["any cost", 0], ["> 0", 1e-9], ["≥ 0.10", 0.1], ["≥ 1", 1]];
/** @type {[keyof Row | "age", string][]} */
const COLUMNS = [["name", "run"], ["flow", "flow"], ["status", "state"], ["age", "age"], ["seconds", "time"], ["steps", "steps"], ["cost", "cost"], ["journal", "journal"]];
/** Buttons: what is asked, the word, whether one row is enough. @type {[string, string][]} */
const DEEDS = [["open", "Open"], ["resume", "Resume"], ["cancel", "Cancel"], ["fork", "Fork at step"], ["again", "Run failed again"], ["delete", "Delete"]];

/** @param {{ model: Model, el: HTMLElement }} props */
function render({ model, el }) {
  const send = senderOf(model), root = asView(make("div", "pf-history"));
  root.setAttribute("aria-label", "Run history");
  const bar = make("div", "pf-h-bar"), title = make("span", "pf-h-title", "Run history"), count = make("span", "pf-h-count");
  const said = make("div", "pf-h-said"), find = make("input", "pf-h-find");
  said.setAttribute("role", "status");
  setAttributes(find, { type: "search", placeholder: "Filter by name", "aria-label": "Filter by name, error or origin" });
  bar.append(title, count, find);
  const chips = make("div", "pf-h-chips"), deeds = make("div", "pf-h-deeds"), scroller = make("div", "pf-h-scroller");
  const { table, body, heads } = tableOf(), empty = make("div", "pf-h-empty");
  scroller.append(table, empty);
  root.append(bar, chips, deeds, scroller, said);
  el.append(root);

  /** @type {Filters} */
  const filters = { flow: "", state: "", age: 0, cost: 0, text: "" };
  /** @type {Set<number>} */
  const chosen = new Set();
  let sorting = { by: /** @type {string} */ ("age"), down: false }, focused = 0, isAsked = false;
  /** @type {Row[]} */
  let shown = [];

  const at = make("input", "pf-h-at");
  setAttributes(at, { type: "number", min: 0, value: 0, "aria-label": "Step to fork at" });
  /** @type {Record<string, HTMLButtonElement>} */
  const buttons = {};
  for (const [deed, word] of DEEDS) {
    buttons[deed] = makeButton(word, `pf-h-deed pf-h-${deed}`, () => act(deed));
    deeds.append(buttons[deed]);
    if (deed === "fork") deeds.append(at);
  }
  setAttributes(deeds, { role: "toolbar", "aria-label": "With the chosen runs" });
  walkButtons(deeds);

  /** @param {string} deed */
  function act(deed) {
    const keys = keysFor(deed);
    if (!keys.length) return;
    if (deed === "delete" && !isAsked) {
      isAsked = true;
      drawDeeds();
      return;
    }
    isAsked = false;
    send({ do: deed, keys, at: Number(at.value) || 0 });
    if (deed === "delete") chosen.clear();
    drawDeeds();
  }

  /** Whom a deed is for: the chosen ones; of those that failed, all that are shown when none is chosen. @param {string} deed */
  function keysFor(deed) {
    const rows = chosen.size ? shown.filter((row) => chosen.has(row.key)) : deed === "again" ? shown : shown.slice(focused, focused + 1);
    return rows.filter((row) => fits(deed, row)).map((row) => row.key);
  }

  function drawDeeds() {
    for (const [deed, word] of DEEDS) {
      const number = keysFor(deed).length, button = buttons[deed];
      const text = deed === "delete" && isAsked ? `Really delete ${counted(number, "run")}?` : chosen.size || deed === "again" ? `${word} (${number})` : word;
      write(button, text);
      button.disabled = !number || !hasKernel(model);
    }
  }

  function drawChips() {
    /** @type {Row[]} */
    const rows = model.get("rows");
    const groups = [
      chipsOf("Flow", [["all flows", ""], ...[...new Set(rows.map((row) => row.flow))].sort().slice(0, 12).map((flow) => [flow, flow])], "flow"),
      chipsOf("State", [["any state", ""], ...[...new Set(rows.map((row) => row.status))].map((state) => [state, state])], "state"),
      chipsOf("Age", AGES, "age"),
      chipsOf("Cost", COSTS, "cost"),
    ];
    const told = JSON.stringify([groups.map((group) => group.told), filters]);
    if (chips.dataset.told === told) return;
    chips.dataset.told = told;
    chips.replaceChildren(...groups.map((group) => group.el));
  }

  /** @param {string} label @param {(string | number)[][]} options @param {"flow" | "state" | "age" | "cost"} name */
  function chipsOf(label, options, name) {
    const group = make("div", "pf-h-group");
    setAttributes(group, { role: "group", "aria-label": label });
    for (const [text, value] of options) {
      const chip = makeButton(String(text), "pf-h-chip", () => {
        Object.assign(filters, { [name]: value });
        draw();
      });
      chip.setAttribute("aria-pressed", String(filters[name] === value));
      if (name === "state" && value) chip.prepend(dotOf(String(value)));
      group.append(chip);
    }
    walkButtons(group);
    return { el: group, told: options };
  }

  function drawRows() {
    const now = Date.now() / 1000;
    /** @type {Row[]} */
    const rows = model.get("rows");
    shown = sorted(rows.filter((row) => matches(row, filters, now)), sorting);
    for (const key of [...chosen]) if (!rows.some((row) => row.key === key)) chosen.delete(key);
    focused = Math.min(focused, Math.max(shown.length - 1, 0));
    const had = body.contains(focusIn(root));
    body.replaceChildren(...shown.map((row, k) => rowOf(row, k, now)));
    if (had && shown.length) /** @type {HTMLElement} */ (body.children[focused]).focus();
    table.hidden = !shown.length;
    empty.hidden = !!shown.length;
    write(empty, emptyWords(rows.length));
    write(count, countWords(shown.length, rows.length, chosen.size));
    for (const [k, [name]] of COLUMNS.entries()) heads[k].setAttribute("aria-sort", sortWord(name, sorting));
    drawDeeds();
  }

  /** @param {Row} row @param {number} k @param {number} now */
  function rowOf(row, k, now) {
    const item = make("tr", "pf-h-row"), isChosen = chosen.has(row.key);
    item.tabIndex = k === focused ? 0 : -1;
    item.setAttribute("aria-selected", String(isChosen));
    const box = make("span", "pf-h-box", isChosen ? "✓" : "");
    box.setAttribute("aria-hidden", "true");
    const name = make("td", "pf-h-name"), state = make("td", "pf-h-state");
    name.append(box, make("span", "pf-h-text", row.name));
    const more = [row.origin, row.error].filter(Boolean).join(" · ");
    if (more) {
      name.append(make("span", "pf-h-more", more));
      name.title = more;
    }
    state.append(dotOf(row.status), make("span", "", row.status));
    item.append(
      name, make("td", "", row.flow), state, make("td", "", ageOf(now - row.begun)), make("td", "", clock(row.seconds)),
      make("td", "pf-h-number", String(row.steps)), make("td", "pf-h-number", row.cost ? `$${row.cost}` : ""), make("td", "", row.journal),
    );
    item.addEventListener("click", (event) => {
      focused = k;
      toggle(row.key, event.shiftKey || event.ctrlKey || event.metaKey || event.target === box || box.contains(/** @type {Node} */ (event.target)));
    });
    item.addEventListener("dblclick", () => send({ do: "open", keys: [row.key] }));
    item.addEventListener("focus", () => { focused = k; });
    return item;
  }

  /** @param {number} key @param {boolean} isAdded */
  function toggle(key, isAdded) {
    const was = chosen.has(key);
    if (!isAdded) chosen.clear();
    if (was) chosen.delete(key);
    else chosen.add(key);
    isAsked = false;
    drawRows();
    /** @type {HTMLElement | undefined} */ (body.children[focused])?.focus();
  }

  body.addEventListener("keydown", (event) => {
    const row = shown[focused];
    if (!row) return;
    const to = movedTo(event.key, focused, shown.length);
    if (to !== undefined) moveTo(to);
    else if (event.key === " ") toggle(row.key, true);
    else if (event.key === "Enter") send({ do: "open", keys: [row.key] });
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) chooseAll();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** @param {number} to */
  function moveTo(to) {
    focused = to;
    for (const [k, item] of [...body.children].entries()) /** @type {HTMLElement} */ (item).tabIndex = k === focused ? 0 : -1;
    /** @type {HTMLElement} */ (body.children[focused]).focus();
    drawDeeds();
  }

  function chooseAll() {
    for (const each of shown) chosen.add(each.key);
    drawRows();
  }

  find.addEventListener("input", () => {
    filters.text = find.value.toLowerCase();
    drawRows();
  });
  for (const [k, [name]] of COLUMNS.entries()) {
    heads[k].querySelector("button")?.addEventListener("click", () => {
      sorting = { by: name, down: sorting.by === name ? !sorting.down : false };
      drawRows();
    });
  }

  /** @param {string} status */
  function dotOf(status) {
    return sign(model.get("icons"), stateOf(status === "running elsewhere" ? "running" : status), { prefix: "pf-h-" });
  }

  function drawSaid() {
    const { text = "", bad = false } = model.get("told");
    write(said, hasKernel(model) ? text : "the kernel is gone");
    said.dataset.bad = String(bad);
  }

  function draw() {
    drawChips();
    drawRows();
    drawSaid();
  }

  draw();
  const ends = [listen(model, { "change:rows": draw, "change:told": drawSaid, comm_live_update: draw }), hideStatic(el, model)];
  return () => {
    for (const end of ends) end();
  };
}

function tableOf() {
  const table = make("table", "pf-h-table"), head = make("thead"), line = make("tr"), body = make("tbody");
  setAttributes(table, { role: "grid", "aria-label": "Runs in journals", "aria-multiselectable": "true" });
  const heads = COLUMNS.map(([name, text]) => {
    const cell = make("th", `pf-h-th pf-h-th-${name}`);
    cell.scope = "col";
    cell.append(makeButton(text, "pf-h-sort", undefined, `Sort by ${text}`));
    return cell;
  });
  line.append(...heads);
  walkButtons(line);
  head.append(line);
  table.append(head, body);
  return { table, body, heads };
}

/** The row that a key leads to; undefined when it leads nowhere. @param {string} key @param {number} here @param {number} count */
export function movedTo(key, here, count) {
  /** @type {Record<string, number>} */
  const moves = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: count - 1, PageDown: here + 10, PageUp: here - 10 };
  return moves[key] === undefined ? undefined : Math.min(Math.max(moves[key], 0), count - 1);
}

/** @param {number} all */
function emptyWords(all) {
  return all ? "No run fits these filters." : "No journal keeps a run here.";
}

/** @param {number} shown @param {number} all @param {number} chosen */
export function countWords(shown, all, chosen) {
  return `${shown === all ? "" : `${shown} of `}${counted(all, "run")}${chosen ? `, ${chosen} chosen` : ""}`;
}

/** @param {string} name @param {{ by: string, down: boolean }} sorting */
function sortWord(name, { by, down }) {
  if (by !== name) return "none";
  return down ? "descending" : "ascending";
}

/** Whether a deed can be done with a run. @param {string} deed @param {Row} row */
export function fits(deed, row) {
  if (deed === "open" || deed === "fork") return true;
  if (deed === "again") return row.status === "failed";
  const isLive = ["running", "paused", "asking", "pending"].includes(row.status);
  if (deed === "resume") return ["unfinished", "failed", "cancelled"].includes(row.status);
  if (deed === "cancel") return isLive || row.status === "unfinished";
  return !isLive && row.status !== "running elsewhere";
}

/** @param {Row} row @param {Filters} filters @param {number} now seconds since the epoch */
export function matches(row, { flow, state, age, cost, text }, now) {
  if (flow && row.flow !== flow) return false;
  if (state && row.status !== state) return false;
  if (age && now - row.begun > age) return false;
  if (cost && row.cost < cost) return false;
  return !text || [row.name, row.flow, row.error, row.origin].some((part) => part.toLowerCase().includes(text));
}

/** @param {Row[]} rows @param {{ by: string, down: boolean }} sorting */
export function sorted(rows, { by, down }) {
  const value = (/** @type {Row} */ row) => (by === "age" ? -row.begun : /** @type {Record<string, any>} */ (row)[by]);
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const one = value(a), two = value(b);
    return sign * (typeof one === "string" ? one.localeCompare(two, undefined, { numeric: true }) : one - two);
  });
}

/** `30 s`, `5 min`, `3 h`, `2 d`. @param {number} seconds */
export function ageOf(seconds) {
  for (const [size, unit] of /** @type {[number, string][]} */ ([[86400, "d"], [3600, "h"], [60, "min"]])) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

export default { render };
