// @ts-check
// Puts a text into a new cell below the one that an element stands in, by the front end's own button and the editor's own paste.

/** Frames that the new cell may take to come. */
const PATIENCE_FRAMES = 90;

/** Whether the text stands in a new cell now. @param {HTMLElement} el inside of a cell's output @param {string} text @returns {Promise<boolean>} */
export async function putInNewCell(el, text) {
  const cell = /** @type {HTMLElement | null} */ (el.closest(".jp-Cell")), notebook = cell?.closest(".jp-Notebook");
  if (!cell || !notebook) return false;
  cell.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, button: 0 }));    // the button inserts below the cell that was pressed last
  cell.dispatchEvent(new MouseEvent("mouseup", { bubbles: true, button: 0 }));
  const before = new Set(notebook.querySelectorAll(".jp-Cell"));
  const button = insertButtonOf(cell);
  if (!button) return false;
  button.click();
  const made = await eventually(() => [...notebook.querySelectorAll(".jp-Cell")].find((other) => !before.has(other)));
  const editor = made && (await eventually(() => /** @type {HTMLElement | null} */ (made.querySelector(".cm-content"))));
  if (!made || !editor) return false;
  made.scrollIntoView({ block: "nearest" });
  editor.focus();
  const carried = new DataTransfer();
  carried.setData("text/plain", text);
  editor.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }));
  const begin = text.trimStart().slice(0, 20);
  return !!(await eventually(() => (editor.textContent ?? "").includes(begin)));
}

/** The button that inserts a cell below: of the cell itself, else of the notebook's bar. @param {HTMLElement} cell */
function insertButtonOf(cell) {
  const panel = cell.closest(".jp-NotebookPanel") ?? document;
  for (const place of [cell.querySelector('[data-jp-item-name="insert-cell-below"]'), panel.querySelector('.jp-Toolbar [data-jp-item-name="insert"]')]) {
    const button = /** @type {HTMLElement | null | undefined} */ (place?.querySelector("jp-button, button") ?? place);
    if (button) return button;
  }
  return null;
}

/** @template T @param {() => T} look @returns {Promise<T | undefined>} */
async function eventually(look) {
  for (let n = 0; n < PATIENCE_FRAMES; n += 1) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => { requestAnimationFrame(resolve); });
  }
  return undefined;
}
