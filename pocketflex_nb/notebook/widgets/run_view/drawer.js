// @ts-check
// The detail drawer: the visits of a node, opened by a click on a node, a bar, a row or a block; one may be pinned beside another.

import { copyText } from "../base/js/clipboard.js";
import { make, makeButton, setAttributes, signButton, write } from "../base/js/dom.js";
import { putInNewCell } from "../base/js/new_cell.js";
import { walkButtons } from "../base/js/roving.js";
import { walkValues } from "../base/js/value_view.js";
import { forkFormOf } from "./fork_form.js";
import { changeOf, deedsOfVisit, factsOfVisit, headOfVisit, partsOfVisit, sectionOf, wordsOf } from "./visit_card.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./visit_card.js").VisitCard} VisitCard */
/** What was clicked, or a visit's run and address. @typedef {Record<string, unknown>} VisitRequest */

/** Milliseconds between two looks at a visit that goes on, and after which a kernel that says nothing is given up. */
const AGAIN = 1000, SILENCE = 20_000;
const GOING_ON = ["running", "asking", "waiting"];
/** Numbers of questions; the page's own, so that of two pages each knows its answers. */
const PAGE_NAME = Math.random().toString(36).slice(2, 8);
let asked = 0;

/** @param {View} view */
export function drawerOf(view) {
  const el = make("section", "pf-drawer"), head = make("div", "pf-drawer-head"), told = make("div", "pf-drawer-told"), said = make("div", "pf-drawer-said");
  const place = make("div", "pf-drawer-form"), compared = make("div", "pf-drawer-compared"), cards = make("div", "pf-drawer-cards");
  /** @type {Map<string, (answer: any) => void>} */
  const waiting = new Map();
  /** @type {VisitCard | null} */
  let card = null;
  /** @type {VisitCard | null} */
  let pinned = null;
  /** @type {{ fork: string, code: string }} */
  let refused = { fork: "", code: "" };
  /** @type {() => HTMLElement | SVGElement | null} */
  let opener = () => null;
  let isSeveral = false, looked = 0, timer = 0, shownParts = "";

  setAttributes(el, { role: "region", "aria-label": "Visit" });
  el.tabIndex = -1;
  el.hidden = true;
  said.setAttribute("role", "status");
  const back = signButton("‹", "pf-button pf-step", "Earlier visit", () => go("before"), "left arrow");
  const forth = signButton("›", "pf-button pf-step", "Later visit", () => go("after"), "right arrow");
  const pin = makeButton("Pin", "pf-button", togglePin, "Keep this visit beside the next one");
  const inCell = makeButton("Open in a cell", "pf-button", openInCell);
  const fromHere = makeButton("Run from here", "pf-button", openForm);
  const shut = signButton("×", "pf-button pf-step", "Close", close, "Escape");
  const tools = make("div", "pf-drawer-tools");
  setAttributes(tools, { role: "toolbar", "aria-label": "This visit" });
  tools.append(back, forth, pin, inCell, fromHere, shut);
  walkButtons(tools);
  head.append(told, tools);
  el.append(head, said, place, compared, cards);
  const keepStop = walkValues(el);

  const heard = (/** @type {any} */ message) => {
    const answer = message?.drawer, take = answer && waiting.get(answer.ask);
    if (!take) return;
    waiting.delete(answer.ask);
    take(answer);
  };
  view.model.on("msg:custom", heard);

  /** Ask the kernel; the answer has a `problem` where there is none. @param {string} what @param {object} about @returns {Promise<any>} */
  function ask(what, about) {
    if (view.isGone) return Promise.resolve({ problem: "The kernel is gone: there is nobody to ask." });
    asked += 1;
    const name = `${PAGE_NAME}-${asked}`;
    return new Promise((resolve) => {
      const late = window.setTimeout(() => {
        waiting.delete(name);
        resolve({ problem: "The kernel does not answer." });
      }, SILENCE);
      waiting.set(name, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
      view.send({ do: "drawer", what, ask: name, ...about });
    });
  }

  /** @param {VisitCard} of */
  const visitOf = (of) => ({ run: of.run, address: of.address });

  /** Open the visit that was clicked. @param {VisitRequest} request @param {() => HTMLElement | SVGElement | null} [from] what gets the focus back */
  async function open(request, from) {
    const answer = await ask("visit", request);
    if (from) opener = from;
    el.hidden = false;
    view.root.dataset.drawer = "true";
    if (answer.problem) {
      if (!card) drawNothing();
      say(answer.problem);
    } else {
      say("");
      closeForm();
      draw(answer);
    }
    el.scrollIntoView({ block: "nearest" });
    el.focus({ preventScroll: true });
  }

  function drawNothing() {
    told.replaceChildren(make("strong", "", "Visits"));
    for (const button of [back, forth, pin, inCell, fromHere]) button.hidden = true;
  }

  /** @param {{ card: VisitCard, refused: { fork: string, code: string }, several: boolean }} answer */
  function draw(answer) {
    const before = card;
    card = answer.card;
    refused = answer.refused;
    isSeveral = answer.several;
    for (const button of [back, forth, pin, inCell, fromHere]) button.hidden = false;
    told.replaceChildren(headOfVisit(view.glyphs(), card, isSeveral));
    el.setAttribute("aria-label", `${card.node}, ${factsOfVisit(card).join(", ")}`);
    setOff(back, !card.before, "This is the first visit that is kept.");
    setOff(forth, !card.after, "This is the last visit.");
    setOff(fromHere, !!refused.fork, refused.fork || "A new run from this step on, with the values that it reads to edit");
    setOff(inCell, !!refused.code, refused.code || "Put the step's code and what it was given into a new cell");
    drawPin();
    drawCards(before);
    clearTimeout(timer);
    if (GOING_ON.includes(card.status)) timer = window.setTimeout(lookAgain, AGAIN);
  }

  /** A button that does nothing says why, and stays reachable. @param {HTMLElement} button @param {boolean} isOff @param {string} why */
  function setOff(button, isOff, why) {
    button.setAttribute("aria-disabled", String(isOff));
    if (isOff || button === fromHere || button === inCell) button.title = why;
    else button.title = button === back ? "Earlier visit (left arrow)" : "Later visit (right arrow)";
  }

  function drawPin() {
    pin.setAttribute("aria-pressed", String(!!pinned));
    write(pin, pinned ? "Unpin" : "Pin");
  }

  /** @param {VisitCard | null} before */
  function drawCards(before) {
    if (!card) return;
    const isSame = before?.address === card.address && before.run === card.run && !pinned;
    const parts = JSON.stringify([card.parts, card.why]);
    if (isSame && cards.children.length === 1) {      // it goes on: values that are open stay open
      const [column] = cards.children;
      if (parts !== shownParts) column.firstElementChild?.replaceWith(partsOfVisit(card, sourceOf(card)));
      column.lastElementChild?.replaceWith(deedsOfVisit(card));
    } else {
      const columns = [card];
      if (pinned && !(pinned.address === card.address && pinned.run === card.run)) columns.unshift(pinned);
      cards.replaceChildren(...columns.map((one) => columnOf(one, columns.length > 1)));
      cards.dataset.columns = String(columns.length);
      compare(columns);
    }
    shownParts = parts;
    keepStop();
  }

  /** @param {VisitCard} one @param {boolean} isNamed */
  function columnOf(one, isNamed) {
    const column = make("div", "pf-drawer-card");
    column.setAttribute("role", "group");
    column.setAttribute("aria-label", `${one.node}, visit ${one.visit}`);
    column.append(partsOfVisit(one, sourceOf(one)), deedsOfVisit(one));
    if (isNamed) {
      const name = headOfVisit(view.glyphs(), one, isSeveral);
      name.classList.add("pf-visit-pinned");
      if (one === pinned) name.append(make("span", "pf-visit-mark", "pinned"));
      column.prepend(name);
    }
    return column;
  }

  /** @param {VisitCard} of @returns {import("./visit_card.js").SourceOf} */
  function sourceOf(of) {
    return (part, name) => ({
      name: `${name} of ${of.node}, visit ${of.visit}`, drawn: keepStop,
      fetch: (what, places, offset = 0) => ask(what, { ...visitOf(of), part, places, offset }),
      copy: (text, button) => copyText(text, { near: view.root, focus: button }),
    });
  }

  /** The differences of the pinned visit and this one. @param {VisitCard[]} columns */
  async function compare(columns) {
    compared.replaceChildren();
    if (columns.length < 2) return;
    const [first, second] = columns, { differences, problem } = await ask("differences", { ...visitOf(second), with: visitOf(first) });
    if (card !== second) return;
    const rows = /** @type {[string, string, [string, string, string][], [string, string][]][]} */ (differences ?? []).flatMap(([, name, lines, words]) => {
      if (!lines.length) return [make("div", "pf-note", `${name}: the same`)];
      return [make("div", "pf-visit-name", name), ...(words.length ? [wordsOf(words)] : lines.map((line) => changeOf(line)))];
    });
    const title = `Differences from visit ${first.visit} to visit ${second.visit}`;
    compared.replaceChildren(sectionOf(title, rows.length ? rows : [make("div", "pf-note", problem ?? "There are no values to compare.")]));
  }

  /** @param {"before" | "after"} side */
  async function go(side) {
    if (!card?.[side]) return;
    const answer = await ask("visit", { run: card.run, address: card[side] });
    if (answer.problem) say(answer.problem);
    else {
      closeForm();
      draw(answer);
      view.announcer.say(factsOfVisit(answer.card).join(", "));
    }
  }

  function togglePin() {
    pinned = pinned ? null : card;
    drawPin();
    drawCards(null);
  }

  async function lookAgain() {
    if (el.hidden || !card || view.isGone) return;
    looked += 1;
    const now = looked, of = card, answer = await ask("visit", visitOf(of));
    if (!answer.problem && card === of && now === looked) draw(answer);
  }

  /** @param {string} text */
  function say(text) {
    write(said, text);
    said.hidden = !text;
  }

  async function openForm() {
    if (!card) return;
    if (refused.fork) {
      say(refused.fork);
      return;
    }
    const of = card, { form, problem } = await ask("form", visitOf(of));
    if (problem) {
      say(problem);
      return;
    }
    say("");
    const made = forkFormOf(form, (edits) => start(of, edits), () => {
      closeForm();
      fromHere.focus();
    });
    place.replaceChildren(made.el);
    made.first().focus();
  }

  function closeForm() {
    place.replaceChildren();
  }

  /** @param {VisitCard} of @param {unknown[][]} edits */
  async function start(of, edits) {
    const { begun, problem } = await ask("fork", { ...visitOf(of), edits });
    if (problem) {
      say(problem);
      return;
    }
    closeForm();
    say(`${begun} runs from here; it is shown above.`);
    view.root.scrollIntoView({ block: "nearest" });
    fromHere.focus({ preventScroll: true });
  }

  async function openInCell() {
    if (!card) return;
    if (refused.code) {
      say(refused.code);
      return;
    }
    const { code, problem } = await ask("code", visitOf(card));
    if (problem) {
      say(problem);
      return;
    }
    if (await putInNewCell(el, code)) {
      say("The code stands in a new cell below.");
      return;
    }
    const went = await copyText(code, { near: view.root, focus: inCell });
    say(went ? "This front end has no cell to put it into: the code is in the clipboard, paste it into a new cell." : "The code could be put neither into a cell nor into the clipboard.");
  }

  function close() {
    el.hidden = true;
    view.root.dataset.drawer = "false";
    clearTimeout(timer);
    card = pinned = null;
    for (const part of [told, compared, cards]) part.replaceChildren();
    closeForm();
    say("");
    const to = opener();
    (to?.isConnected ? to : view.root).focus();
  }

  el.addEventListener("keydown", (event) => {
    const { tagName } = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "TEXTAREA", "SELECT"].includes(tagName)) return;
    const isOnTools = tools.contains(/** @type {Node} */ (event.target));
    if (event.key === "Escape") close();
    else if (event.key === "ArrowLeft" && !isOnTools) go("before");
    else if (event.key === "ArrowRight" && !isOnTools) go("after");
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    el, open,
    end() {
      clearTimeout(timer);
      waiting.clear();
      view.model.off("msg:custom", heard);
    },
  };
}
