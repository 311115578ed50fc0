// @ts-check
// The live view of runs. Reads traits, writes the page, sends commands; keeps no truth of its own.

import { initialize } from "../base/js/delta.js";
import { make } from "../base/js/dom.js";
import { hasKernel, listen } from "../base/js/model.js";
import { hideStatic } from "../base/js/static_fallback.js";
import { asView } from "../base/js/view_root.js";
import { detailTabsOf } from "./detail_tabs.js";
import { diagramsOf } from "./diagram.js";
import { drawerOf } from "./drawer.js";
import { headerOf } from "./header.js";
import { FEW, lanesOf } from "./lanes.js";
import { menuOf } from "./menu.js";
import { pendingOf } from "./pending.js";
import { openStoresFrom } from "./private_stores.js";
import { statusGridOf } from "./status_grid.js";
import { dragPlayhead, playheadOf, timeCursorOf } from "./time_cursor.js";
import { timelineOf } from "./timeline.js";
import { viewOf } from "./view.js";

/** @typedef {import("./view.js").View} View */

/** Milliseconds between two looks at the clock. */
const TICK = 200;
/** Milliseconds after its begin for which a run is new, and until its view is laid out. */
const FRESH = 4000, SETTLES = 250;

/** @param {{ model: import("../base/js/model.js").Model, el: HTMLElement }} props */
function render({ model, el }) {
  const root = asView(make("div", "pf-run-view")), middle = make("div", "pf-middle"), view = viewOf(model, root);
  root.tabIndex = 0;
  const diagrams = diagramsOf(view, middle), lanes = lanesOf(view, middle), grid = statusGridOf(view), details = detailTabsOf(view);
  const playhead = playheadOf(view), timeline = timelineOf(view, playhead), cursor = timeCursorOf(view, playhead);
  const drawer = drawerOf(view);
  view.openVisit = drawer.open;
  const menu = menuOf(view, {
    chosenFlow: diagrams.chosen,
    showEvents: () => {
      details.open("events");
      details.body.focus();
    },
  });
  openStoresFrom(view, diagrams.pane.el, diagrams.chosen, details.unfold);
  view.openStore = () => details.open("store");
  const header = headerOf(view, menu.el), pending = pendingOf(view);
  middle.append(diagrams.pane.el, lanes.el);
  details.bar.append(cursor.el);
  root.append(
    header.el, menu.said, header.problems, pending.el, diagrams.tabs, grid.el, grid.pinned, middle, timeline.el, details.bar, details.el, drawer.el, ...view.announcer.els,
  );
  el.append(root);
  const sized = () => {
    root.style.setProperty("--pv-cap", `${view.cap()}px`);
    diagrams.arrange();
  };
  sized();
  window.addEventListener("resize", sized);
  const watcher = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(diagrams.arrange);
  watcher?.observe(root);
  dragPlayhead(view, timeline.el, playhead, cursor.seek);
  root.addEventListener("keydown", (event) => pressed(view, event, { pause: header.pause, stop: header.stop, details, pane: diagrams.pane }));

  function drawHeader() {
    header.draw();
    grid.follow();
  }

  function drawTimeline() {
    if (model.get("spans").length > FEW) lanes.drawSparklines();
    timeline.draw();
  }

  function drawCursor() {
    lanes.draw();            // what belongs to now only, as the buttons, is not shown of the past
    cursor.draw();
  }

  let isDue = false;
  function timelineSoon() {   // bars and marks come in one message: drawn once
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      drawTimeline();
    });
  }

  function onGone() {
    if (hasKernel(model) || !view.isLive()) return;
    view.isGone = true;
    root.dataset.gone = "true";
    drawHeader();
    drawCursor();
    pending.draw();
  }

  function tick() {
    if (!view.isLive() || view.isGone) return;
    view.begun ??= performance.now();
    header.drawFacts();
    pending.tick();
    timeline.grow();
  }

  const timer = setInterval(tick, TICK);
  drawHeader();
  pending.draw();
  details.drawTabs();
  // the rest a task each, so that a large flow does not hold the page while it opens
  const ends = [
    inTasks([diagrams.draw, lanes.draw, grid.draw, drawTimeline, drawCursor, details.draw]),
    listen(model, {
      "change:diagrams": diagrams.draw, "change:states": diagrams.drawStates, "change:edges": diagrams.drawStates, "change:header": drawHeader,
      "change:lanes": lanes.draw, "change:focus": lanes.draw, "change:status_grid": grid.draw, "change:spans": timelineSoon,
      "change:marks": timelineSoon, "change:pending": pending.draw, "change:cursor": drawCursor, "change:tab_content": details.draw, "change:conversation": details.draw, "change:tabs": details.drawTabs,
      comm_live_update: onGone,
    }),
    hideStatic(el, model), showBegin(view), () => clearInterval(timer), () => window.removeEventListener("resize", sized), () => watcher?.disconnect(), view.announcer.end, pending.end, diagrams.end, lanes.end, cursor.end, menu.end, details.end, drawer.end,
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Scroll a run that has just begun into sight, so far that its cell's code stays there; never from under a person who types elsewhere.
 *  @param {View} view */
function showBegin(view) {
  if (!view.isLive() || view.elapsed() > FRESH) return () => {};
  const { root } = view;
  const timer = setTimeout(() => {
    const cell = root.closest(".jp-Cell"), scroller = cell && scrollerOf(cell), typing = document.activeElement?.closest(".cm-editor");
    if (!cell || !scroller || (typing && !cell.contains(typing))) return;
    const seen = scroller.getBoundingClientRect(), below = root.getBoundingClientRect().top + view.cap() + 8 - seen.bottom;
    const above = cell.getBoundingClientRect().top - seen.top;
    if (below > 0 && above > 0) scroller.scrollBy({ top: Math.min(below, above) });
  }, SETTLES);
  return () => clearTimeout(timer);
}

/** @param {Element} el @returns {Element | null} */
function scrollerOf(el) {
  for (let up = el.parentElement; up; up = up.parentElement) {
    if (up.scrollHeight > up.clientHeight && ["auto", "scroll"].includes(getComputedStyle(up).overflowY)) return up;
  }
  return null;
}

/** Do the first at once and the others in a task each; the returned function ends that. @param {(() => void)[]} stages */
function inTasks(stages) {
  let timer = 0;
  const next = () => {
    stages.shift()?.();
    timer = stages.length ? window.setTimeout(next, 0) : 0;
  };
  next();
  return () => clearTimeout(timer);
}

/** The keys of the view. @param {View} view @param {KeyboardEvent} event
 *  @param {{
 *    pause: HTMLButtonElement, stop: HTMLButtonElement, details: ReturnType<typeof detailTabsOf>, pane: ReturnType<typeof diagramsOf>["pane"],
 *  }} parts */
function pressed(view, event, { pause, stop, details, pane }) {
  const { tagName } = /** @type {HTMLElement} */ (event.target);
  if (["INPUT", "TEXTAREA", "SELECT"].includes(tagName) || event.ctrlKey || event.metaKey || event.altKey || view.isGone) return;
  if (tagName === "BUTTON" && [" ", "Enter"].includes(event.key)) return;
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => view.send({ do: "cursor", by: -1 }), ArrowRight: () => view.send({ do: "cursor", by: 1 }),
    Home: () => view.send({ do: "cursor", step: 0 }), End: () => view.send({ do: "live" }),
    d: () => details.open("diff"), "/": () => details.search(), "+": () => pane.zoom(1.25), "-": () => pane.zoom(0.8), 0: () => pane.release(),
  };
  const { crumbs } = view.model.get("header");
  if (crumbs) keys.Escape = () => view.send({ do: "up", to: crumbs.length - 2 });
  if (view.isLive()) Object.assign(keys, { " ": () => pause.click(), s: () => stop.click(), n: () => view.send({ do: "step" }) });
  const act = keys[event.key];
  if (!act) return;
  act();
  event.preventDefault();
  event.stopPropagation();
}

export default { initialize, render };
