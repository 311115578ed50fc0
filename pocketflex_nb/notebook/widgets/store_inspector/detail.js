// @ts-check
// The chosen value: its text or picture, its history, what can be done with it, and the field in which it is written anew.

import { copyText } from "../base/js/clipboard.js";
import { make, makeButton, setAttributes } from "../base/js/dom.js";

/** @typedef {import("../base/js/model.js").Model} Model */
/** @typedef {{
 *   path: string, row: number, type: string, text: string, gone?: boolean, image?: string, words?: [string, string][], edit?: string | null,
 *   history: [string, string, string][], watched?: boolean, breaks?: boolean, refusal?: string,
 * }} Detail */

/** Milliseconds for which a button says that something was copied. */
const SAID = 1500;

/** The pane: the tools stay on the page while what is above and below them is drawn anew, and so keep the focus.
 *  @param {Model} model @param {HTMLElement} root of the inspector */
export function detailOf(model, root) {
  const el = make("div", "pf-store-detail");
  const above = make("div"), holder = make("div"), below = make("div");
  let editing = "";
  const tools = toolsOf(model, root, () => {
    editing = model.get("detail").path;
    draw();
  });
  el.append(above, holder, tools.el, below);

  function draw() {
    /** @type {Detail} */
    const detail = model.get("detail");
    el.hidden = !detail.path;
    if (editing !== detail.path) editing = "";
    tools.draw(detail, !!editing);
    if (!detail.path || (editing && holder.firstChild)) return;
    above.replaceChildren(headOf(detail), ...(detail.gone ? [] : shownOf(detail, !!editing)));
    holder.replaceChildren(...(editing && !detail.gone ? [editorOf(detail, (text) => model.send({ do: "edit", text }), close)] : []));
    below.replaceChildren(...(detail.history?.length && !detail.gone ? [historyOf(detail.history)] : []));
  }

  function close() {
    editing = "";
    draw();
  }

  return { el, draw, end: tools.end };
}

/** @param {Detail} detail */
function headOf({ path, gone, type }) {
  const head = make("div", "pf-store-path");
  head.append(make("strong", "", path), make("span", "pf-store-type", gone ? "not there any more" : type));
  return head;
}

/** The value as a picture or a text, and the words that changed in it. @param {Detail} detail @param {boolean} isEdited @returns {HTMLElement[]} */
function shownOf({ path, image, text, words }, isEdited) {
  const parts = [];
  if (image) {
    const img = make("img", "pf-store-image");
    img.alt = `Picture at ${path}`;
    if (/^data:image\/(png|jpeg|gif);base64,/.test(image)) img.src = image;
    parts.push(img);
  } else if (!isEdited) parts.push(make("pre", "pf-store-text", text));
  if (!words?.length || isEdited) return parts;
  const said = make("div", "pf-store-words");
  said.setAttribute("aria-label", "Changed words");
  said.append(...words.map(([sign, piece]) => make(tagOf(sign), "", piece)));
  return [...parts, said];
}

/** @param {string} sign */
function tagOf(sign) {
  if (sign === "+") return "ins";
  return sign === "-" ? "del" : "span";
}

/** @param {[string, string, string][]} history */
function historyOf(history) {
  const list = make("ol", "pf-store-history");
  list.setAttribute("aria-label", "History, newest first");
  list.append(...history.map(([version, who, text]) => {
    const item = make("li");
    item.append(make("span", "pf-store-version", version), make("span", "pf-store-writer", who), make("span", "pf-store-value", text));
    return item;
  }));
  return list;
}

/** What can be done with the value. @param {Model} model @param {HTMLElement} root @param {() => void} edit */
function toolsOf(model, root, edit) {
  const el = make("div", "pf-store-tools");
  setAttributes(el, { role: "toolbar", "aria-label": "This value" });
  let isAsked = false;   // the answer goes to all pages that show this inspector; one of them asked
  let saidFor = 0;
  const tool = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ press) => {
    const button = makeButton(text, "pf-store-button", press, title);
    el.append(button);
    return button;
  };
  const copyValue = tool("Copy value", "Copy the value as text", () => {
    isAsked = true;
    say(copyValue, "Copying …");
    model.send({ do: "copy" });
  });
  const copyPath = tool("Copy path", "Copy where the value stands", () => copy(copyPath, model.get("detail").path));
  const watchIt = tool("Watch", "Keep the value in sight, above the tree", () => model.send({ do: "watch" }));
  const breakIt = tool("Break when changed", "", () => {
    if (breakIt.getAttribute("aria-disabled") !== "true") model.send({ do: "break" });
  });
  const editIt = tool("Edit", "Write another value", edit);

  /** Put a text into the clipboard and say so on the button. @param {HTMLElement} button @param {string} text */
  async function copy(button, text) {
    const went = await copyText(text, { near: root, focus: button });
    say(button, went ? "Copied" : "Not copied");
  }

  /** @param {HTMLElement} button @param {string} text */
  function say(button, text) {
    for (const other of [copyValue, copyPath]) if (other.dataset.name) other.textContent = other.dataset.name;
    button.dataset.name ??= button.textContent ?? "";
    button.textContent = text;
    clearTimeout(saidFor);
    saidFor = window.setTimeout(() => { button.textContent = button.dataset.name ?? ""; }, SAID);
  }

  /** @param {Detail} detail @param {boolean} isEdited */
  function draw(detail, isEdited) {
    el.hidden = !detail.path || isEdited;
    if (!detail.path) return;
    copyValue.hidden = copyPath.hidden = !!detail.gone;
    editIt.hidden = detail.edit === null || detail.edit === undefined;
    watchIt.setAttribute("aria-pressed", String(!!detail.watched));
    // not `disabled`: the reason can be reached by keyboard
    setAttributes(breakIt, { "aria-pressed": !!detail.breaks, "aria-disabled": !!detail.refusal });
    breakIt.title = detail.refusal || breakTitle(!!detail.breaks);
  }

  const heard = (/** @type {any} */ message) => {
    if (!isAsked || typeof message?.copied !== "string") return;
    isAsked = false;
    copy(copyValue, message.copied);
  };
  model.on("msg:custom", heard);
  const end = () => {
    clearTimeout(saidFor);
    model.off("msg:custom", heard);
  };
  return { el, draw, end };
}

/** @param {boolean} isSet */
function breakTitle(isSet) {
  return isSet ? "Let runs pass again when a node changes this" : "Pause the run before its next node once a node has changed this";
}

/** A field for the value. @param {Detail} detail @param {(text: string) => void} write @param {() => void} close */
function editorOf({ path, edit }, write, close) {
  const form = make("form", "pf-store-editor"), text = make("textarea", "pf-store-field"), tools = make("div", "pf-store-tools");
  text.value = edit ?? "";
  text.rows = Math.min(Math.max(text.value.split("\n").length, 2), 8);
  text.setAttribute("aria-label", `Value of ${path}`);
  const save = makeButton("Write", "pf-store-button pf-store-now");
  save.type = "submit";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    write(text.value);
    close();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    event.stopPropagation();
  });
  tools.append(save, makeButton("Cancel", "pf-store-button", close));
  form.append(text, tools);
  setTimeout(() => text.focus(), 0);
  return form;
}
