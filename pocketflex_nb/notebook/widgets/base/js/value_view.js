// @ts-check
// A value in full, page by page as it is asked for: a text with its Markdown, a container whose rows open, a table, a picture.

import { make, makeButton, setAttributes, write } from "./dom.js";
import { markdownOf } from "./markdown_view.js";

/** @typedef {{
 *   kind: string, form: "text" | "tree" | "table" | "image", offset: number, size: number, more: number | null, text?: string, image?: string,
 *   rows?: any[][], columns?: string[],
 * }} ValuePage */
/** Ask the kernel about the value at `places`: the numbers of children from the top.
 *  @typedef {(what: "value" | "markdown" | "copy", places: number[], offset?: number) => Promise<any>} FetchValue */
/** @typedef {{ fetch: FetchValue, copy: (text: string, button: HTMLElement) => Promise<boolean>, name: string, drawn: () => void }} ValueSource */

/** Pages that are copied at most, and milliseconds for which a button says so. */
const PAGES = 100, SAID_MS = 1600;
const PICTURE = /^data:image\/(png|jpeg|gif);base64,/;

/** @param {ValueSource} source @param {number[]} [places] */
export function valueViewOf(source, places = []) {
  const el = make("div", "pf-value"), tools = make("div", "pf-value-tools"), body = make("div", "pf-value-body"), foot = make("div", "pf-value-foot");
  const note = make("div", "pf-value-note");
  let isMarkdown = false;
  const asMarkdown = makeButton("Markdown", "pf-value-button", async () => {
    isMarkdown = !isMarkdown;
    await show();
  }, "Show the text as Markdown");
  const copyIt = makeButton("Copy", "pf-value-button", () => copyAll(), "Copy the whole value as text");
  asMarkdown.hidden = true;
  tools.append(asMarkdown, copyIt);
  setAttributes(tools, { role: "toolbar", "aria-label": source.name });
  el.append(tools, note, body, foot);

  async function show() {
    asMarkdown.setAttribute("aria-pressed", String(isMarkdown));
    foot.replaceChildren();
    if (isMarkdown) {
      const { tree, problem, note: left } = await source.fetch("markdown", places);
      tell(problem ?? left);
      body.replaceChildren(...(tree ? [markdownOf(tree, "pf-markdown")] : []));
      return;
    }
    const answer = await source.fetch("value", places);
    tell(answer.problem ?? answer.note);
    asMarkdown.hidden = !answer.texts;
    body.replaceChildren();
    if (answer.page) add(answer.page);
  }

  /** @param {string | undefined} text */
  function tell(text) {
    write(note, text ?? "");
    note.hidden = !text;
  }

  /** Put a page behind those that are there. @param {ValuePage} page */
  function add(page) {
    el.dataset.form = page.form;
    if (page.form === "image") body.append(imageOfValue(page.image ?? "", source.name));
    else if (page.form === "text") addText(page);
    else if (page.form === "table") addRows(page, () => tableOf(page), (table) => fillTable(table, page));
    else addRows(page, () => make("div", "pf-value-rows"), (rows) => rows.append(...(page.rows ?? []).map((row) => rowOf(row, source, places))));
    foot.replaceChildren(...(page.more === null || page.more === undefined ? [] : [moreOf(page)]));
    source.drawn();
  }

  /** @param {ValuePage} page */
  function addText(page) {
    const last = body.lastElementChild ?? body.appendChild(make("pre", "pf-value-text"));
    last.append(page.text ?? "");
    /** @type {HTMLElement} */ (last).tabIndex = 0;
    setAttributes(last, { role: "textbox", "aria-readonly": "true", "aria-multiline": "true", "aria-label": source.name });
  }

  /** @template {HTMLElement} T @param {ValuePage} page @param {() => T} first @param {(holder: T) => void} fill */
  function addRows(page, first, fill) {
    const known = /** @type {T | null} */ (page.offset ? body.lastElementChild : null), holder = known ?? first();
    if (!known) body.append(holder);
    fill(holder);
  }

  /** @param {ValuePage} page */
  function moreOf({ form, more, size }) {
    const unit = form === "text" ? "characters" : "rows", seen = Number(more);
    return makeButton(`More: ${seen.toLocaleString("en")} of ${size.toLocaleString("en")} ${unit}`, "pf-value-button", async () => {
      const answer = await source.fetch("value", places, seen);
      if (answer.page) add(answer.page);
      else tell(answer.problem);
    });
  }

  async function copyAll() {
    let text = "";
    /** @type {number | null} */
    let next = 0;
    for (let n = 0; next !== null && n < PAGES; n += 1) {
      /** @type {{ page?: ValuePage, problem?: string }} */
      const { page, problem } = await source.fetch("copy", places, next);
      if (!page) {
        tell(problem);
        return;
      }
      text += page.text ?? "";
      next = page.more;
    }
    const went = await source.copy(text, copyIt);
    copyIt.textContent = went ? "Copied" : "Not copied";
    window.setTimeout(() => { copyIt.textContent = "Copy"; }, SAID_MS);
  }

  return { el, show };
}

/** @param {string} image @param {string} name */
function imageOfValue(image, name) {
  const img = make("img", "pf-value-image");
  img.alt = `Picture: ${name}`;
  if (PICTURE.test(image)) img.src = image;
  return img;
}

/** A row of a container; a value inside is fetched when its row is opened.
 *  @param {any[]} row place, key, type, text, whether it opens @param {ValueSource} source @param {number[]} places */
function rowOf([place, key, kind, text, opens], source, places) {
  const line = make("div", "pf-value-row"), label = make("span", "pf-value-key", key);
  const told = [label, make("span", "pf-value-kind", kind), make("span", "pf-value-preview", text)];
  if (!opens) {
    line.append(make("span", "pf-value-twist"), ...told);
    return line;
  }
  const button = makeButton("", "pf-value-opener"), holder = make("div", "pf-value-inside");
  const inside = valueViewOf({ ...source, name: `${source.name}, ${key}` }, [...places, place]);
  let isShown = false;
  button.tabIndex = -1;
  button.append(make("span", "pf-value-twist", "▸"), ...told);
  button.setAttribute("aria-expanded", "false");
  holder.hidden = true;
  holder.append(inside.el);
  button.addEventListener("click", async () => {
    holder.hidden = !holder.hidden;
    button.setAttribute("aria-expanded", String(!holder.hidden));
    write(/** @type {Element} */ (button.firstElementChild), holder.hidden ? "▸" : "▾");
    if (!holder.hidden && !isShown) {
      isShown = true;
      await inside.show();
    }
  });
  line.append(button, holder);
  return line;
}

/** @param {ValuePage} page */
function tableOf({ columns = [], kind }) {
  const table = make("table", "pf-value-table"), head = make("thead"), row = make("tr");
  table.setAttribute("aria-label", kind);
  row.append(...columns.map((name) => make("th", "", name)));
  head.append(row);
  table.append(head, make("tbody"));
  return table;
}

/** @param {HTMLElement} table @param {ValuePage} page */
function fillTable(table, { rows = [] }) {
  table.querySelector("tbody")?.append(...rows.map((cells) => {
    const row = make("tr");
    row.append(...cells.map((text) => make("td", "", text)));
    return row;
  }));
}

/** Let arrow keys go along the rows of values that open, one stop of Tab; right opens one, left closes it. The returned function keeps
 *  that stop when rows come and go. @param {HTMLElement} root */
export function walkValues(root) {
  const openers = () => /** @type {HTMLElement[]} */ ([...root.querySelectorAll(".pf-value-opener")]).filter((opener) => !opener.closest("[hidden]"));

  /** @param {Element} stop */
  function stopAt(stop) {
    for (const opener of openers()) opener.tabIndex = opener === stop ? 0 : -1;
  }

  root.addEventListener("focusin", (event) => {
    const here = /** @type {Element} */ (event.target);
    if (here.matches(".pf-value-opener")) stopAt(here);
  });
  root.addEventListener("keydown", (event) => {
    const here = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".pf-value-opener"));
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = openers(), at = all.indexOf(here), isOpen = here.getAttribute("aria-expanded") === "true";
    if (event.key === "ArrowDown") all[Math.min(at + 1, all.length - 1)].focus();
    else if (event.key === "ArrowUp") all[Math.max(at - 1, 0)].focus();
    else if (event.key === (isOpen ? "ArrowLeft" : "ArrowRight")) here.click();
    else if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return () => {
    const all = openers();
    if (all.length && !all.some((opener) => opener.tabIndex === 0)) all[0].tabIndex = 0;
  };
}
