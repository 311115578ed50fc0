// @ts-check
// The root of a view: its letters are its own, the front end's shortcuts stay, and the focus never falls back to the page.

import { focusIn } from "./dom.js";

const MARK = "data-lm-suppress-shortcuts";
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
/** Keys that a text field needs together with Ctrl. */
const EDITING = ["a", "c", "v", "x", "y", "z", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Backspace", "Delete"];

/** Make an element the root of a view: a group that keeps single keys for itself, lets those with Ctrl or Alt through to the front end,
 *  goes back to its cell by Escape, and gives the focus to a neighbour when the element that has it goes.
 *  @template {HTMLElement} T @param {T} root @returns {T} */
export function asView(root) {
  root.setAttribute("role", "group");
  root.setAttribute(MARK, "true");
  const keeper = keeperOf(root);
  let isInside = false;

  /** Before JupyterLab looks at the key, which it does at the document. @param {KeyboardEvent} event */
  function mark(event) {
    if (!root.isConnected) leave();
    else if (focusIn(root) && root.contains(focusIn(root))) setMark(root, /** @type {Element} */ (focusIn(root)), isOwnKey(event));
  }

  function enter() {
    if (isInside) return;
    isInside = true;
    window.addEventListener("keydown", mark, true);
    keeper.begin();
  }

  function leave() {
    isInside = false;
    window.removeEventListener("keydown", mark, true);
    keeper.end();
  }

  root.addEventListener("focusin", (event) => {
    enter();
    /** @type {Element} */ (event.target).setAttribute(MARK, "true");
    keeper.remember(/** @type {HTMLElement} */ (event.target));
  });
  root.addEventListener("focusout", (event) => {
    const next = /** @type {Node | null} */ (event.relatedTarget);
    if (next && root.contains(next)) return;
    if (next) leave();
    else queueMicrotask(() => {
      if (!keeper.restore() && !root.contains(focusIn(root))) leave();
    });
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    const cell = /** @type {HTMLElement | null} */ (root.closest(".jp-Cell"));
    if (!cell) return;
    if (!cell.hasAttribute("tabindex")) cell.tabIndex = -1;
    cell.focus();
    event.preventDefault();
    event.stopPropagation();
  });
  return root;
}

/** @param {Element} root @param {Element} focused @param {boolean} isOwn */
function setMark(root, focused, isOwn) {
  for (const el of [root, focused]) {
    if (isOwn) el.setAttribute(MARK, "true");
    else el.removeAttribute(MARK);
  }
}

/** Whether a key belongs to the view, not to the front end around it. @param {KeyboardEvent} event */
export function isOwnKey({ key, ctrlKey, metaKey, altKey, target }) {
  if (!ctrlKey && !metaKey) return !altKey || isText(target);
  return isText(target) && EDITING.includes(key.length === 1 ? key.toLowerCase() : key);
}

/** @param {EventTarget | null} target */
function isText(target) {
  const { tagName = "", type = "" } = /** @type {HTMLInputElement} */ (target ?? {});
  return tagName === "TEXTAREA" || (tagName === "INPUT" && !["button", "checkbox", "radio", "range", "submit"].includes(type));
}

/** Keeps the focus in a view: when the element that has it is taken away, hidden or disabled, its like or a neighbour gets it.
 *  @param {HTMLElement} root */
function keeperOf(root) {
  /** @type {HTMLElement | null} */
  let last = null;
  let name = "";
  /** @type {HTMLElement[]} */
  let around = [];
  const watcher = new MutationObserver(() => { restore(); });

  /** @param {HTMLElement} el */
  function remember(el) {
    last = el;
    name = nameOf(el);
    around = focusables();
  }

  function focusables() {
    return /** @type {HTMLElement[]} */ ([...root.querySelectorAll(FOCUSABLE)]);
  }

  /** Whether the focus was lost and is given to another element now. */
  function restore() {
    if (!last || !root.isConnected || isUsable(last, root)) return false;
    const here = focusIn(root);
    if (here && here !== last && here !== document.body && root.contains(here)) return false;
    const place = around.indexOf(last), usable = focusables().filter((el) => isUsable(el, root));
    const next = usable.find((el) => nameOf(el) === name)
      ?? [...around.slice(place + 1), ...around.slice(0, Math.max(place, 0)).reverse()].find((el) => isUsable(el, root)) ?? root;
    if (next === root && !root.hasAttribute("tabindex")) root.tabIndex = -1;
    last = null;
    next.focus({ preventScroll: true });
    return true;
  }

  return {
    remember, restore,
    begin: () => watcher.observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden", "disabled"] }),
    end() {
      watcher.disconnect();
      last = null;
    },
  };
}

/** What tells an element from its neighbours. @param {Element} el */
function nameOf(el) {
  return [el.tagName, el.className, el.getAttribute("aria-label") ?? el.textContent].join(" ");
}

/** Whether an element can have the focus. @param {HTMLElement} el @param {HTMLElement} root */
function isUsable(el, root) {
  return el.isConnected && root.contains(el) && !el.closest("[hidden]") && !(/** @type {HTMLButtonElement} */ (el).disabled) && el.tabIndex >= -1;
}
