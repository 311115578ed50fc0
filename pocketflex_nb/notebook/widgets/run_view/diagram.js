// @ts-check
// The picture of a flow, moving: states, visits and arrows taken; one tab for each flow.

import { counted, focusIn, make, makeButton, makeSvg, setAttributes } from "../base/js/dom.js";
import { chooseTab, reached, walkTabs } from "../base/js/roving.js";
import { paneOf } from "./pane.js";
import { isBeside } from "./viewport.js";

/** @typedef {import("./view.js").View} View */
/** State, visits and caption of a node, and how many runs its steps began. @typedef {[string, number, string, number?]} NodeState */

/** Parts of a picture that are put on the page between two frames: some 10 ms, laying them out and painting included. */
const BATCH = 48;
/** @type {NodeState} */
const IDLE = ["idle", 0, ""];
/** Pixels of a view from which on lanes may stand beside the diagram. */
const WIDE_VIEW = 700;
const ACTIVE = ["running", "asking"];
/** Width of a letter of the smallest caption, in the picture's units. */
const SMALL_LETTER = 3.92;

/** One picture of a flow: our own escaped SVG, one part a line, parsed as documents and put on the page some parts a turn, since a
 *  large picture would hold the page for long; then changed by attributes only. */
export class Diagram {
  /** @param {string} text @param {Record<string, string>} glyphs */
  constructor(text, glyphs) {
    this.parts = text.split("\n");
    this.head = this.parts.shift() || "<svg xmlns='http://www.w3.org/2000/svg'>";
    this.parts.pop();
    this.el = /** @type {SVGElement} */ (/** @type {unknown} */ (document.importNode(this.parse([]), true)));
    this.glyphs = glyphs;
    this.turn = 0;
    /** @type {Record<string, NodeState>} */
    this.states = {};
    /** @type {Record<string, number>} */
    this.edges = {};
    /** @type {Map<string, NodeState>} what each node shows: unchanged ones stay the same object */
    this.shown = new Map();
    /** @type {Map<string, number>} how often each arrow shows that it was taken */
    this.taken = new Map();
    /** @type {Map<string, Element>} */
    this.nodes = new Map();
    /** @type {Map<string, Element[]>} */
    this.arrows = new Map();
    this.size = { width: Number(this.el.getAttribute("width")) || 1, height: Number(this.el.getAttribute("height")) || 1 };
    setAttributes(this.el, { width: "100%", height: "100%", role: "group" });
    /** @type {Map<string, import("./viewport.js").Point>} the middle of each node */
    this.centres = new Map();
    /** @type {() => void} */
    this.onBuilt = () => {};
    /** @type {Map<string, NodeState>} what changed since somebody asked */
    this.news = new Map();
  }

  /** Whether all parts stand. */
  get isBuilt() {
    return !this.parts.length;
  }

  /** The middle of the first node. */
  first() {
    return this.centres.values().next().value;
  }

  /** The middles of the nodes that work now, in the order of the picture. */
  active() {
    const found = [];
    for (const [path, centre] of this.centres) if (ACTIVE.includes((this.states[path] ?? IDLE)[0])) found.push(centre);
    return found;
  }

  /** The nodes that changed since this was asked last. */
  changed() {
    const news = this.news;
    this.news = new Map();
    return news;
  }

  /** @param {string[]} parts */
  parse(parts) {
    return new DOMParser().parseFromString(`${this.head}${parts.join("")}</svg>`, "image/svg+xml").documentElement;
  }

  /** Go on building, until all parts stand. */
  build() {
    this.pause();
    const made = this.parse(this.parts.splice(0, BATCH));
    for (const part of [...made.childNodes]) {
      document.adoptNode(part);
      this.know(part);
      this.el.append(part);
    }
    this.update(this.states, this.edges);
    if (this.parts.length) this.turn = requestAnimationFrame(() => this.build());
    else this.onBuilt();
  }

  /** Build no further, until it is mounted again. */
  pause() {
    cancelAnimationFrame(this.turn);
    this.turn = 0;
  }

  /** Remember a node or an arrow by its key. @param {Node} part */
  know(part) {
    if (!(part instanceof Element)) return;
    const node = part.getAttribute("data-node"), edge = part.getAttribute("data-edge");
    if (node !== null) {
      this.nodes.set(node, part);
      const label = part.classList.contains("pf-node") && part.querySelector(".pf-label");
      if (label) this.centres.set(node, { x: Number(label.getAttribute("x")), y: Number(label.getAttribute("y")) });
      if (label) setAttributes(part, { role: "button", tabindex: this.centres.size > 1 ? -1 : 0, "aria-description": nodeHint(IDLE) });
    }
    if (edge === null || !part.classList.contains("pf-edge")) return;
    const [source, action] = edge.split("|"), key = `${source}|${action}`;
    this.arrows.set(key, [...(this.arrows.get(key) ?? []), part]);
    this.taken.delete(key);
  }

  /** @param {Record<string, NodeState>} states @param {Record<string, number>} edges */
  update(states, edges) {
    Object.assign(this, { states, edges });
    for (const [path, g] of this.nodes) {
      const state = states[path] ?? IDLE;
      if (this.shown.get(path) === state) continue;
      this.shown.set(path, state);
      this.news.set(path, state);
      this.writeNode(g, state);
    }
    for (const [key, arrows] of this.arrows) {
      const count = edges[key] ?? 0;
      if (this.taken.get(key) === count) continue;
      this.taken.set(key, count);
      for (const g of arrows) writeArrow(g, count);
    }
  }

  /** @param {Element} g @param {NodeState} state */
  writeNode(g, [status, visits, caption, runs = 0]) {
    if (g.getAttribute("data-state") !== status) {
      g.setAttribute("data-state", status);
      g.querySelector(".pf-glyph")?.setAttribute("d", this.glyphs[status] ?? "");
    }
    if (!g.classList.contains("pf-node")) return;
    g.setAttribute("aria-description", nodeHint([status, visits, caption, runs]));
    writeVisits(g, visits);
    writeCaption(g, caption);
    writeStack(g, runs);
  }
}

/** How a node stands, and what a press on it does, behind its name, which is its text. @param {NodeState} state */
export function nodeHint([status, visits, , runs = 0]) {
  const been = visits ? `, ${counted(visits, "visit")}` : "";
  return `${status}${been}: ${runs > 0 ? "open the runs that it began; v opens its visits" : "open its visits"}`;
}

/** The mark of a step that began runs: a second box behind, and a button that opens them. @param {Element} g @param {number} runs */
function writeStack(g, runs) {
  const has = runs > 0;
  if (g.classList.contains("pf-has-runs") === has) return;
  g.classList.toggle("pf-has-runs", has);
  if (!has) {
    g.querySelector(".pf-stack")?.remove();
    return;
  }
  const shape = g.querySelector(".pf-shape");
  if (!shape || g.querySelector(".pf-behind")) return;
  const behind = /** @type {Element} */ (shape.cloneNode(true));
  behind.classList.add("pf-behind", "pf-stack");
  behind.setAttribute("transform", "translate(4 -4)");
  shape.before(behind);
}

/** @param {Element} g @param {number} count */
function writeArrow(g, count) {
  g.setAttribute("data-count", String(count));
  g.classList.toggle("pf-taken", count > 0);
  g.querySelector("path")?.setAttribute("stroke-width", String(count ? Math.min(1.9 + 0.5 * Math.log2(count), 4.5) : 1.5));
}

/** The badge with the number of visits, as wide as the number. @param {Element} g @param {number} visits */
function writeVisits(g, visits) {
  const badge = g.querySelector(".pf-visits");
  if (!badge) return;
  badge.setAttribute("display", visits > 1 ? "inline" : "none");
  const text = badge.querySelector("text"), words = visits < 10_000 ? `×${visits}` : `×${Math.floor(visits / 1000)}k`;
  if (!text || text.textContent === words) return;
  text.textContent = words;
  const rect = /** @type {Element} */ (badge.querySelector("rect"));
  const right = Number(g.getAttribute("data-right") || Number(rect.getAttribute("x")) + Number(rect.getAttribute("width")));
  const width = words.length * 6.4 + 8;
  g.setAttribute("data-right", String(right));
  setAttributes(rect, { x: right - width, width });
  text.setAttribute("x", String(right - width / 2));
}

/** The second line of a node, in letters that fit. @param {Element} g @param {string} caption */
function writeCaption(g, caption) {
  const under = g.querySelector(".pf-caption") ?? (caption ? addCaption(g) : null);
  const room = Number(g.querySelector(".pf-shape")?.getAttribute("width")) - 8, told = cutTo(caption, Math.floor(room / SMALL_LETTER));
  if (!under || under.textContent === told) return;
  under.textContent = told;
  if (told !== caption) {
    const title = g.querySelector("title") ?? g.insertBefore(makeSvg("title", {}), g.firstChild);
    title.textContent = caption;      // all of it where the pointer rests
  }
  if (room > 0) under.setAttribute("font-size", Math.min(10, Math.max((10 * room) / (told.length * 5.6), 7)).toFixed(1));
}

/** @param {string} text @param {number} most characters; none: all of it */
function cutTo(text, most) {
  return most > 1 && text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text;
}

/** Room for a second line: the label moves up by half of it. @param {Element} g */
function addCaption(g) {
  const labels = [...g.querySelectorAll(".pf-label")], last = labels[labels.length - 1];
  for (const label of labels) label.setAttribute("y", String(Number(label.getAttribute("y")) - 6.5));
  const place = { class: "pf-caption", x: last.getAttribute("x") ?? 0, y: Number(last.getAttribute("y")) + 14 };
  const text = makeSvg("text", { ...place, "font-size": 10, "text-anchor": "middle" });
  last.after(text);
  return text;
}

/** The flows of the view, each with its tab. @param {View} view @param {HTMLElement} middle the part of the page that holds graph and lanes */
export function diagramsOf(view, middle) {
  const tabs = make("div", "pf-flow-tabs"), pane = paneOf();
  setAttributes(tabs, { role: "tablist", "aria-label": "Flows" });
  walkTabs(tabs);
  let chosen = 0;
  /** @type {Diagram[]} */
  let diagrams = [];

  function draw() {
    /** @type {{ name: string, svg: string }[]} */
    const pictures = view.model.get("diagrams");
    end();
    diagrams = pictures.map(({ svg }) => new Diagram(svg, view.glyphs()));
    chosen = Math.min(chosen, Math.max(diagrams.length - 1, 0));
    tabs.hidden = diagrams.length < 2;
    tabs.replaceChildren(...pictures.map(({ name }, k) => {
      const tab = makeButton(name, "pf-flow-tab", () => {
        chosen = k;
        show();
      });
      tab.setAttribute("role", "tab");
      return tab;
    }));
    show();
  }

  function show() {
    chooseTab(tabs, (_, k) => k === chosen);
    const diagram = diagrams[chosen];
    for (const other of diagrams) if (other !== diagram) other.pause();
    pane.mount(diagram);
    arrange();
    drawStates();
  }

  /** Choose the side of the lanes on which the picture is larger. */
  function arrange() {
    const diagram = diagrams[chosen], room = { width: middle.clientWidth, height: view.room() };
    middle.dataset.slim = String(!!diagram && room.width >= WIDE_VIEW && isBeside(diagram.size, room));
    pane.arrange();
  }

  function drawStates() {
    const key = String(chosen);
    diagrams[chosen]?.update(view.model.get("states")[key] ?? {}, view.model.get("edges")[key] ?? {});
    pane.follow();
  }

  function end() {
    for (const diagram of diagrams) diagram.pause();
  }

  /** Open the runs of the step that was pressed, or its visits. @param {Event} event @param {boolean} [isForVisits] */
  function enter(event, isForVisits = false) {
    const g = /** @type {SVGElement | null} */ (/** @type {Element} */ (event.target).closest(".pf-node")), node = g?.getAttribute("data-node");
    if (!g || node === undefined || node === null || view.isGone) return;
    if (g.classList.contains("pf-has-runs") && !isForVisits) view.send({ do: "enter", node, flow: chosen });
    else view.openVisit({ node, flow: chosen }, () => /** @type {SVGElement | null} */ (diagrams[chosen]?.nodes.get(node) ?? null));
    event.preventDefault();
    event.stopPropagation();
  }

  /** Arrow keys go from node to node, one stop of Tab. @param {KeyboardEvent} event */
  function walk(event) {
    const here = /** @type {Element} */ (event.target).closest(".pf-node");
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    if (["Enter", " ", "v"].includes(event.key)) {
      enter(event, event.key === "v");
      return;
    }
    const nodes = /** @type {SVGElement[]} */ ([...pane.el.querySelectorAll(".pf-node")]);
    const to = reached(event.key, nodes.indexOf(/** @type {SVGElement} */ (here)), nodes.length, "both");
    if (to === undefined) return;
    nodes[to].focus();
    event.preventDefault();
    event.stopPropagation();
  }
  pane.el.addEventListener("click", enter);
  pane.el.addEventListener("keydown", walk);
  pane.el.addEventListener("focusin", () => {
    const here = focusIn(pane.el)?.closest(".pf-node");
    if (!here) return;
    for (const node of pane.el.querySelectorAll('.pf-node[tabindex="0"]')) node.setAttribute("tabindex", "-1");
    here.setAttribute("tabindex", "0");
  });

  return {
    tabs, pane, draw, drawStates, arrange, chosen: () => chosen,
    end() {
      end();
      pane.end();
    },
  };
}
