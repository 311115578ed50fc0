// @ts-check
// Hides the still form that is saved beside a live view; of a view that a file brought without its kernel, it hides the view instead.

import { hasKernel } from "./model.js";

/** Frames after which a view that was never put into a page is given up. */
const PATIENCE = 600;

/** Hide the still form of a view as soon as the view stands in the page. The returned function ends the watch.
 *  @param {HTMLElement} el @param {import("./model.js").Model} model its `static` is the still form's mark */
export function hideStatic(el, model) {
  const mark = /** @type {string} */ (model.get("static"));
  let end = () => {};
  let frames = 0;
  const whenShown = () => {   // a view is made before it is put into its output
    if (el.isConnected) end = !hasKernel(model) && yieldTo(el, mark) ? () => {} : watchOutputs(el, mark);
    else if (frames++ < PATIENCE) requestAnimationFrame(whenShown);
  };
  whenShown();
  return () => {
    frames = Number.POSITIVE_INFINITY;
    end();
  };
}

/** Hide a view that no kernel answers where its still form, which tells more, stands beside it. @param {HTMLElement} el @param {string} mark */
function yieldTo(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const hasStill = [...child?.parentElement?.children ?? []].some((other) => other !== child && hasMark(other, mark));
  if (hasStill) child?.classList.add("pf-hidden-static");
  return hasStill;
}

/** @param {HTMLElement} el @param {string} mark */
function watchOutputs(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const area = child?.parentElement;
  if (!area || !mark) return () => {};
  const others = () => [...area.children].filter((other) => other !== child);
  const hide = () => {
    for (const other of others()) if (hasMark(other, mark)) other.classList.add("pf-hidden-static");
    watcher.disconnect();   // never the whole area: a live view changes often, and each change would be looked at
    watcher.observe(area, { childList: true });
    for (const other of others()) watcher.observe(other, { childList: true, subtree: true });
  };
  const watcher = new MutationObserver(hide);
  hide();
  return () => watcher.disconnect();
}

/** Whether an output is the static form with this mark: HTML, or an SVG in an image. @param {Element} output @param {string} mark */
function hasMark(output, mark) {
  const still = output.querySelector("[data-static]");
  if (still) return still.getAttribute("data-static") === mark;
  const img = output.querySelector("img");
  return !!img && img.src.startsWith("data:image/svg") && decodeURIComponent(img.src).includes(`data-static="${mark}"`);
}
