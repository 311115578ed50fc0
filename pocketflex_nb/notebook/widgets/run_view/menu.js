// @ts-check
// The menu of files and texts, and what came of its entries.

import { copyText } from "../base/js/clipboard.js";
import { focusIn, make, makeButton, setAttributes } from "../base/js/dom.js";
import { reached } from "../base/js/roving.js";

/** @typedef {import("./view.js").View} View */

/** Milliseconds for which an answer stands. */
const STANDS = 12_000;
const NO_CLIPBOARD = "This page may not write to the clipboard; print() of the text in a cell shows it.";

/** @param {View} view @param {{ chosenFlow: () => number, showEvents: () => void }} acts */
export function menuOf(view, { chosenFlow, showEvents }) {
  const el = make("div", "pf-more-box"), menu = make("div", "pf-menu");
  const more = makeButton("More", "pf-button pf-more", () => open(!!menu.hidden), "Files, and the diagram as text");
  setAttributes(more, { "aria-haspopup": "menu", "aria-expanded": "false" });
  setAttributes(menu, { role: "menu", "aria-label": "More" });
  menu.hidden = true;
  el.append(more, menu);
  const answers = answersOf(view, more);

  /** @param {string} text @param {string} title @param {() => void} act */
  function entry(text, title, act) {
    const item = makeButton(text, "pf-menu-item", () => {
      open(false);
      act();
    }, title);
    item.setAttribute("role", "menuitem");
    item.tabIndex = -1;
    menu.append(item);
    return item;
  }
  const save = (/** @type {object} */ what) => view.send({ do: "export", ...what });
  entry("Export HTML", "One page that opens anywhere, offline: a file beside the notebook", () => save({ what: "html" }));
  entry("Export diagram", "The diagram as it stands: an SVG file beside the notebook", () => save({ what: "svg", flow: chosenFlow() }));
  entry("Export timeline", "The timeline: an SVG file beside the notebook", () => save({ what: "timeline" }));
  entry("Copy Mermaid", "The diagram as text, for a README or a %%flow cell", () => view.copyText({ do: "mermaid", flow: chosenFlow() }));
  view.copyText = (message) => {
    answers.expectText();
    view.send(message);
  };
  const toEvents = entry("Events", "What happened, event by event, in the tab below", showEvents);

  /** @param {boolean} isOpen @param {boolean} [isBack] whether the button gets the focus again */
  function open(isOpen, isBack = true) {
    if (menu.hidden === !isOpen) return;
    toEvents.hidden = !view.model.get("tabs").includes("events");
    menu.hidden = !isOpen;
    more.setAttribute("aria-expanded", String(isOpen));
    view.root.dataset.menu = String(isOpen);
    if (isOpen) entries()[0].focus();
    else if (isBack) more.focus();
  }

  function entries() {
    return /** @type {HTMLElement[]} */ ([...menu.children]).filter((item) => !item.hidden);
  }

  /** Whether a key did something. @param {string} key */
  function pressed(key) {
    if (menu.hidden) {
      if (key === "ArrowDown") open(true);
      return key === "ArrowDown";
    }
    if (key === "Escape") {
      open(false);
      return true;
    }
    const all = entries(), here = all.indexOf(/** @type {HTMLElement} */ (document.activeElement)), to = reached(key, here, all.length, "column");
    if (to !== undefined) all[to].focus();
    return to !== undefined;   // Enter and space press the entry, Tab leaves and so closes
  }

  el.addEventListener("focusout", (event) => {
    if (!el.contains(/** @type {Node | null} */ (event.relatedTarget))) open(false, false);
  });
  el.addEventListener("keydown", (event) => {
    if (!menu.hidden) event.stopPropagation();   // a letter here is none of the view's keys
    if (!pressed(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });

  return { el, said: answers.el, end: answers.end };
}

/** What came of an entry, said for some time; a text goes into the clipboard. @param {View} view @param {HTMLElement} more the menu's button */
function answersOf(view, more) {
  const el = make("div", "pf-said");
  el.setAttribute("role", "status");
  el.hidden = true;
  let isAsked = false;   // the text goes to all pages that show this view; one of them asked
  let timer = 0;

  /** @param {string} text */
  function say(text) {
    el.textContent = text;
    el.hidden = false;
    clearTimeout(timer);
    timer = window.setTimeout(() => { el.hidden = true; }, STANDS);
  }

  const heard = async (/** @type {any} */ message) => {
    if (typeof message?.said !== "string") return;
    if (typeof message.copied !== "string") {
      say(message.said);
      return;
    }
    if (!isAsked) return;
    isAsked = false;
    const focus = /** @type {HTMLElement} */ (focusIn(view.root) ?? more);
    say((await copyText(message.copied, { near: view.root, focus })) ? message.said : NO_CLIPBOARD);
  };
  view.model.on("msg:custom", heard);
  return {
    el,
    expectText: () => { isAsked = true; },
    end: () => {
      clearTimeout(timer);
      view.model.off("msg:custom", heard);
    },
  };
}
