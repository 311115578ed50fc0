// @ts-check
// The grid of inputs, a row for each agent: arrow keys go from cell to cell, and a spreadsheet's cells can be pasted.

import { focusIn, make, put, setAttributes, signButton } from "../base/js/dom.js";
import { formButton, veil } from "./controls.js";

/** @typedef {import("./page.js").Page} Page */
/** @typedef {import("./page.js").Field} Field */

/** @param {Page} page */
export function inputTableOf(page) {
  const el = make("div", "pf-l-table");
  setAttributes(el, { role: "grid", "aria-label": "Inputs, a row for each agent" });
  /** @type {HTMLInputElement[][]} */
  let grid = [];
  let isNewRowWanted = false;

  const addRow = formButton("Add a row", "pf-l-quiet", () => {
    page.send({ do: "add row" });
    isNewRowWanted = true;
  });

  function draw() {
    const form = page.form();
    el.hidden = addRow.hidden = form.mode !== "rows";
    if (el.hidden) return;
    const shape = `${form.rows.length}\n${form.fields.map((field) => field.key).join("\n")}`;
    if (el.dataset.shape !== shape) {
      el.dataset.shape = shape;
      build(form.rows.length, form.fields);
    }
    for (const [n, row] of form.rows.entries()) {
      for (const [m, [text, kind, problem]] of row.entries()) {
        const input = grid[n][m], field = form.fields[m];
        put(input, text);
        input.placeholder = field.text || field.default;
        input.title = problem || kind;
        input.setAttribute("aria-invalid", String(!!problem));
      }
    }
  }

  /** Made anew when rows or columns come or go. @param {number} rows @param {Field[]} columns */
  function build(rows, columns) {
    const at = isNewRowWanted ? [rows - 1, 0] : place();
    el.style.setProperty("--columns", String(Math.max(columns.length, 1)));
    setAttributes(el, { "aria-rowcount": rows + 1, "aria-colcount": columns.length + 2 });
    const head = lineOf("pf-l-tr pf-l-th");
    head.append(...["agent", ...columns.map((column) => column.key), ""].map((text) => cellOf("columnheader", text)));
    grid = [];
    el.replaceChildren(head, ...Array.from({ length: rows }, (_, n) => rowOfInputs(n, columns)));
    if (at) grid[at[0]]?.[at[1]]?.focus();
    isNewRowWanted = false;
  }

  /** Row and column of the cell that has the focus. */
  function place() {
    const focus = /** @type {HTMLInputElement} */ (focusIn(page.root));
    for (const [n, row] of grid.entries()) if (row.includes(focus)) return [n, row.indexOf(focus)];
    return null;
  }

  /** @param {number} n @param {Field[]} columns */
  function rowOfInputs(n, columns) {
    const row = lineOf("pf-l-tr");
    row.append(cellOf("rowheader", String(n)));
    grid.push(columns.map((column, m) => {
      const cell = cellOf("gridcell"), input = make("input", "pf-l-input");
      veil(input, column.secret);
      input.spellcheck = false;
      input.setAttribute("aria-label", `${column.key} of agent ${n}`);
      input.addEventListener("input", () => page.send({ do: "cells", row: n, keys: [column.key], cells: [[input.value]] }));
      input.addEventListener("paste", (event) => paste(event, n, m));
      input.addEventListener("keydown", (event) => walk(event, n, m));
      cell.append(input);
      row.append(cell);
      return input;
    }));
    const away = signButton("×", "pf-l-button pf-l-away", `Take out agent ${n}`, () => page.send({ do: "drop row", row: n }));
    const last = cellOf("gridcell");
    last.append(away);
    row.append(last);
    return row;
  }

  /** Lines and tabs of a spreadsheet go into rows and columns. @param {ClipboardEvent} event @param {number} n @param {number} m */
  function paste(event, n, m) {
    const keys = page.form().fields.slice(m).map((field) => field.key);
    const cells = cellsOf(event.clipboardData?.getData("text/plain") ?? "", keys.length);
    if (!cells) return;
    event.preventDefault();
    /** @type {HTMLElement} */ (event.target).blur();
    page.send({ do: "cells", row: n, keys, cells });
  }

  /** @param {KeyboardEvent} event @param {number} n @param {number} m */
  function walk(event, n, m) {
    if (event.metaKey) return;
    const to = nextCell(event, n, m, grid);
    if (!to) return;
    event.preventDefault();
    const next = grid[to[0]]?.[to[1]];
    if (next) next.focus();
    else if (event.key === "Enter") addRow.click();
  }

  return { el, addRow, draw };
}

/** Where a key leads from row `n`, column `m`; null where it belongs to the field. Enter and the arrows go up and down a column; left and right
 *  leave a field at the ends of its text; Ctrl+Home and Ctrl+End go to the first and the last cell.
 *  @param {{ key: string, ctrlKey: boolean, target: EventTarget | null }} event @param {number} n @param {number} m
 *  @param {unknown[][]} grid @returns {[number, number] | null} */
export function nextCell({ key, ctrlKey, target }, n, m, grid) {
  const field = /** @type {HTMLInputElement} */ (target);
  if (ctrlKey) {
    if (key === "Home") return [0, 0];
    return key === "End" ? [grid.length - 1, grid[n].length - 1] : null;
  }
  if (key === "ArrowDown" || key === "Enter") return [n + 1, m];
  if (key === "ArrowUp") return [n - 1, m];
  const isCaret = field.selectionStart === field.selectionEnd;
  if (key === "ArrowLeft" && isCaret && field.selectionStart === 0 && m > 0) return [n, m - 1];
  if (key === "ArrowRight" && isCaret && field.selectionEnd === field.value.length && m < grid[n].length - 1) return [n, m + 1];
  return null;
}

/** The cells of a spreadsheet's text, cut to so many columns; null for a text that is one cell. @param {string} text @param {number} columns */
export function cellsOf(text, columns) {
  const lines = text.replace(/\r?\n$/, "");
  if (!/[\n\t]/.test(lines)) return null;
  return lines.split(/\r?\n/).map((line) => line.split("\t").slice(0, columns));
}

/** @param {string} cls */
function lineOf(cls) {
  const row = make("div", cls);
  row.setAttribute("role", "row");
  return row;
}

/** @param {string} role @param {string} [text] */
function cellOf(role, text = "") {
  const cell = make("div", "pf-l-td", text);
  cell.setAttribute("role", role);
  return cell;
}
