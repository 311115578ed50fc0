// @ts-check
// What a run says: a block for each node in turn, and columns where nodes speak at the same time.

import { make, write } from "../base/js/dom.js";

/** Stream, text and node; group and column where visits go on side by side.
 *  @typedef {[string, string, string, number?, number?]} Line */
/** Lines of one group, or those between two groups. @typedef {{ key: string, columns: Line[][] }} Part */

/** The parts of a lane, in order; a part keeps its key while lines leave in front and come behind. @param {Line[]} lines @returns {Part[]} */
export function partsOfLines(lines) {
  /** @type {Part[]} */
  const parts = [];
  let last = 0;
  for (const line of lines) {
    const [, , , group = 0, column = 0] = line;
    if (!parts.length || group !== last) {
      if (!last && parts.length) parts[parts.length - 1].key = `before ${group}`;
      parts.push({ key: group ? `group ${group}` : "last", columns: [] });
      last = group;
    }
    const { columns } = parts[parts.length - 1];
    while (columns.length <= column) columns.push([]);
    columns[column].push(line);
  }
  return parts;
}

/** @param {HTMLElement} body */
export function linesOf(body) {
  /** @type {Map<string, { el: HTMLElement, columns: { el: HTMLElement, lines: Line[] }[] }>} */
  let made = new Map();
  /** @type {Line[]} */
  let shown = [];

  /** @param {Line[]} lines */
  function draw(lines) {
    if (shown === lines) return;
    shown = lines;
    body.hidden = !lines.length;
    const parts = partsOfLines(lines);
    made = new Map(parts.map((told, k) => [told.key, drawPart(told, k)]));
    while (body.children.length > parts.length) body.lastChild?.remove();
  }

  /** @param {Part} part @param {number} k its place among the parts */
  function drawPart({ key, columns }, k) {
    const part = made.get(key) ?? { el: make("div", "pf-said-part"), columns: [] };
    part.el.dataset.columns = String(columns.length);
    for (const [n, column] of columns.entries()) drawColumn(part, n, column);
    for (const extra of part.columns.splice(columns.length)) extra.el.remove();
    if (body.children[k] !== part.el) body.insertBefore(part.el, body.children[k] ?? null);
    return part;
  }

  /** @param {{ el: HTMLElement, columns: { el: HTMLElement, lines: Line[] }[] }} part @param {number} n @param {Line[]} lines */
  function drawColumn(part, n, lines) {
    const column = part.columns[n] ?? { el: make("div", "pf-said-column"), lines: [] };
    if (!part.columns[n]) {
      part.columns.push(column);
      part.el.append(column.el);
    }
    drawLines(column.el, column.lines, lines);
    column.lines = lines;
  }

  return { draw };
}

/** The lines of a column: what is the same object stays as it is, and a node is named where it begins to speak.
 *  @param {HTMLElement} body @param {Line[]} old @param {Line[]} lines */
export function drawLines(body, old, lines) {
  const shift = lines.length ? Math.max(old.indexOf(lines[0]), 0) : old.length;
  for (let k = 0; k < shift; k += 1) body.firstChild?.remove();
  for (const [k, line] of lines.entries()) {
    const el = body.children[k] ?? addLine(body);
    if (old[shift + k] !== line) writeLine(el, line);
    const isBegin = line[2] !== "" && line[2] !== lines[k - 1]?.[2];
    el.classList.toggle("pf-begins", isBegin);
  }
  while (body.children.length > lines.length) body.lastChild?.remove();
}

/** @param {HTMLElement} body */
function addLine(body) {
  const el = make("div", "pf-line");
  el.append(make("span", "pf-line-node"), make("span", "pf-line-text"));
  body.append(el);
  return el;
}

/** @param {Element} el @param {Line} line */
function writeLine(el, [stream, text, node]) {
  const [who, what] = /** @type {HTMLElement[]} */ ([...el.children]);
  el.className = `pf-line pf-${stream === "token" || stream === "log" ? stream : "print"}`;
  write(who, node);
  writeText(what, text.replace(/\n$/, ""));
}

/** Change a text; one that grew gets what is new behind, so that a selection in it stays. @param {HTMLElement} el @param {string} text */
function writeText(el, text) {
  const node = el.firstChild, before = el.textContent ?? "";
  if (node instanceof Text && before && text.startsWith(before)) node.appendData(text.slice(before.length));
  else write(el, text);
}

/** Keeps logs at what is said last, in one turn for all: asking for a height lays the page out. Who scrolled up by hand stays there. */
export function followerOf() {
  /** @type {Set<HTMLElement>} */
  const following = new Set();
  let turn = 0;

  function scroll() {
    turn = 0;
    const heights = [...following].map((el) => el.scrollHeight);
    for (const [k, el] of [...following].entries()) el.scrollTop = heights[k];
    following.clear();
  }

  /** @param {HTMLElement} el */
  function follow(el) {
    if (el.dataset.held) return;
    following.add(el);
    turn ||= requestAnimationFrame(scroll);
  }

  const watcher = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((changes) => {
    for (const { target } of changes) follow(/** @type {HTMLElement} */ (target));   // shown again, or of another height
  });

  /** @param {HTMLElement} el */
  function watch(el) {
    let isByHand = 0;
    const byHand = () => { isByHand = performance.now(); };
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) el.addEventListener(name, byHand, { passive: true });
    el.addEventListener("scroll", () => {
      if (performance.now() - isByHand > HAND && !el.matches(":active")) return;    // the page did it: laid out anew, or taken off for a while
      el.dataset.held = el.scrollTop + el.clientHeight < el.scrollHeight - 12 ? "true" : "";
    });
    watcher?.observe(el);
  }

  return {
    follow, watch,
    /** Go to the end, whoever scrolled: the run is over. @param {HTMLElement} el */
    release(el) {
      el.dataset.held = "";
      follow(el);
    },
    end() {
      cancelAnimationFrame(turn);
      watcher?.disconnect();
    },
  };
}

/** Milliseconds after a key, a wheel or a press for which scrolling counts as a person's. */
const HAND = 700;
