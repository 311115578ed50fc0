// @ts-check
// The shared store as a tree. Rows come ready from the kernel; clicks are sent back.

import { initialize } from "../base/js/delta.js";
import { counted, make, makeButton, makeOption, write } from "../base/js/dom.js";
import { listen } from "../base/js/model.js";
import { onTyped, searchField } from "../base/js/search_field.js";
import { hideStatic } from "../base/js/static_fallback.js";
import { asView } from "../base/js/view_root.js";
import { detailOf } from "./detail.js";
import { differenceOf, isVersioned, timeBarOf } from "./history.js";
import { treeOf } from "./tree_rows.js";
import { watchedOf } from "./watched.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {import("./history.js").Head} Head */

let inspectors = 0;

/** @param {{ model: Model, el: HTMLElement }} props */
function render({ model, el }) {
  inspectors += 1;
  const root = asView(make("div", "pf-store"));
  const bar = barOf(model), time = timeBarOf(model), tree = treeOf(model, `pf-store-${inspectors}`);
  const watched = watchedOf(model), difference = differenceOf(model), detail = detailOf(model, root);
  const note = make("div", "pf-store-note"), page = make("pre", "pf-store-json");
  note.setAttribute("role", "status");
  page.tabIndex = 0;
  page.setAttribute("aria-label", "The store as JSON");
  const held = heldOf(() => {
    model.send({ do: "resume" });
    tree.el.focus();
  });
  const side = make("div", "pf-store-side"), middle = make("div", "pf-store-middle");
  side.append(detail.el, difference.el);
  middle.append(tree.el, page, side);
  root.append(bar.el, time.el, held.el, note, watched.el, middle);
  el.append(root);
  tree.el.addEventListener("keydown", (event) => {
    /** @type {Record<string, () => void>} */
    const keys = { "/": () => bar.find.focus(), "[": () => time.step(-1), "]": () => time.step(1) };
    const act = keys[event.key];
    if (!act || !model.get("rows").length) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  });

  function drawHead() {
    /** @type {Head} */
    const head = model.get("head");
    root.setAttribute("aria-label", `Store of ${head.title}`);
    Object.assign(root.dataset, { past: String(!head.live), form: head.form });
    bar.draw(head);
    time.draw(head);
    held.draw(head.why || "");
    page.hidden = head.form !== "json";
    tree.el.hidden = !page.hidden;
    note.textContent = head.note;
    note.hidden = !head.note;
  }

  function drawDetail() {
    tree.mark();
    detail.draw();
    drawSide();
  }

  function drawDifference() {
    difference.draw();
    drawSide();
  }

  function drawSide() {
    middle.dataset.side = String(!difference.el.hidden || !detail.el.hidden);
  }

  function drawText() {
    write(page, model.get("text"));
  }

  drawHead();
  tree.draw();
  drawText();
  drawDetail();
  drawDifference();
  watched.draw();
  const ends = [
    listen(model, {
      "change:head": drawHead, "change:rows": tree.draw, "change:text": drawText, "change:detail": drawDetail, "change:diff": drawDifference,
      "change:watched": watched.draw,
    }),
    hideStatic(el, model), bar.end, time.end, detail.end,
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Title, filter and form. @param {Model} model */
function barOf(model) {
  const el = make("div", "pf-store-bar"), title = make("span", "pf-store-title"), facts = make("span", "pf-store-facts");
  const find = searchField("pf-store-find", "Filter keys and values"), form = make("select", "pf-store-base pf-store-form");
  const end = onTyped(find, (text) => model.send({ do: "filter", text }));
  form.setAttribute("aria-label", "View");
  form.append(makeOption("tree", "Tree"), makeOption("table", "Table"), makeOption("json", "JSON"));
  form.addEventListener("change", () => model.send({ do: "form", name: form.value }));
  el.append(title, facts, find, form);

  /** @param {Head} head */
  function draw(head) {
    title.textContent = head.title;
    facts.textContent = `${counted(head.keys, "key")}${isVersioned(head) ? ` · version ${head.version}${head.live ? "" : " of the past"}` : ""}`;
    form.value = head.form;
    find.hidden = head.form === "json";
  }

  return { el, find, draw, end };
}

/** Why runs are paused, and the button that lets them go on. @param {() => void} resume */
function heldOf(resume) {
  const el = make("div", "pf-store-held"), text = make("span");
  text.setAttribute("role", "status");
  el.hidden = true;
  el.append(make("span", "pf-store-sign", "‖"), text, makeButton("Resume", "pf-store-button pf-store-now", resume, "Let the paused runs go on"));
  return {
    el,
    draw(/** @type {string} */ why) {
      write(text, why);
      el.hidden = !why;
    },
  };
}

export default { initialize, render };
