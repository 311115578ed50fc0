// @ts-check
// The live view of runs. Reads traits, writes the page, sends commands; keeps no truth of its own.

const WORDS = {
  pending: "pending", running: "running", paused: "paused", asking: "asking", done: "done", failed: "failed", cancelled: "cancelled",
};
const SIGN_OF = { pending: "idle", paused: "waiting" };
const HEAT = { r: "running", d: "done", f: "failed", c: "cancelled", a: "asking", w: "paused", p: "pending" };
const TABS = { diff: "Diff", messages: "Messages", store: "Store", error: "Error", events: "Events" };
/** Parts of a picture that are put on the page between two frames: some 10 ms, laying them out and painting included. */
const BATCH = 48;
/** Cells of the heat strip at most; above that a cell stands for several runs. */
const CELLS = 1200;
const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {string} cls @param {string} [text] */
function make(tag, cls, text) {
  const el = document.createElement(tag);
  el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
}

/** What `old` becomes by a difference (notebook/widgets/base/delta.py says how to read one); what stays the same stays the same object.
 *  @param {any} old @param {any[]} change @returns {any} */
export function applied(old, change) {
  const [kind, first] = change;
  if (kind === 1) {
    const made = { ...old };
    for (const key of change[2]) delete made[key];
    for (const [key, below] of Object.entries(first)) made[key] = applied(made[key], below);
    return made;
  }
  if (kind === 2) {
    const [, , front, inside, behind, length] = change;
    const list = [...front, ...old.slice(first, first + length - front.length - behind.length), ...behind];
    for (const [index, below] of Object.entries(inside)) list[Number(index)] = applied(list[Number(index)], below);
    return list;
  }
  if (kind === 3) return old.slice(first) + change[2];
  if (kind === 4) return Object.assign([...old], first);
  return kind === 5 ? { ...old, ...first } : first;
}

/** Keep the model as the kernel has it, whatever views it has: the kernel sends differences, and the whole if one was missed.
 *  @param {{model: any}} props */
function initialize({ model }) {
  const ask = () => model.send({ do: "fresh", turn: model.get("turn") });
  let asked = -1;
  const heard = (/** @type {any} */ message) => {
    if (!message || !message.patch) return;
    const turn = model.get("turn");
    if (message.turn <= turn) return;
    if (message.turn !== turn + 1) {
      if (asked !== turn) { asked = turn; ask(); }
      return;
    }
    model.set("turn", message.turn);
    for (const [name, change] of Object.entries(message.patch)) model.set(name, applied(model.get(name), change));
  };
  model.on("msg:custom", heard);
  ask();
  return () => model.off("msg:custom", heard);
}

/** @param {HTMLElement} el @param {string} text */
function write(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** @param {number} seconds */
function clock(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}` : `${m}:${String(s).padStart(2, "0")}`;
}

/** @param {string} glyph path data in a square of 12 @param {string} status */
function sign(glyph, status) {
  const el = document.createElementNS(SVG, "svg");
  el.setAttribute("viewBox", "0 0 16 16");
  el.setAttribute("class", "pf-dot");
  el.setAttribute("data-state", SIGN_OF[status] || status);
  el.setAttribute("role", "img");
  el.setAttribute("aria-label", WORDS[status] || status);
  const disc = document.createElementNS(SVG, "circle");
  for (const [k, v] of Object.entries({ cx: 8, cy: 8, r: 8, class: "pf-disc" })) disc.setAttribute(k, String(v));
  const path = document.createElementNS(SVG, "path");
  for (const [k, v] of Object.entries({ d: glyph || "", transform: "translate(2,2)", class: "pf-glyph" })) path.setAttribute(k, v);
  el.append(disc, path);
  return el;
}

/** @type {[string, number, string]} */
const IDLE = ["idle", 0, ""];

/** One picture of a flow: our own escaped SVG, one part a line, parsed as documents and put on the page some parts a turn, since a
 *  large picture would hold the page for long; then changed by attributes only. */
class Diagram {
  /** @param {string} text @param {Record<string, string>} glyphs */
  constructor(text, glyphs) {
    this.parts = text.split("\n");
    this.head = this.parts.shift() || "<svg xmlns='http://www.w3.org/2000/svg'>";
    this.parts.pop();
    this.el = /** @type {SVGElement} */ (document.importNode(this.parse([]), true));
    this.glyphs = glyphs;
    this.turn = 0;
    /** @type {Record<string, [string, number, string]>} */
    this.states = {};
    /** @type {Record<string, number>} */
    this.edges = {};
    /** @type {Map<string, any>} what each node shows: unchanged ones stay the same object */
    this.shown = new Map();
    /** @type {Map<string, number>} how often each arrow shows that it was taken */
    this.taken = new Map();
    /** @type {Map<string, Element>} */
    this.nodes = new Map();
    /** @type {Map<string, Element[]>} */
    this.arrows = new Map();
    const width = Number(this.el.getAttribute("width"));
    this.ratio = width / (Number(this.el.getAttribute("height")) || 1);
    this.el.style.maxWidth = `${Math.round(width * 1.15)}px`;
    this.el.style.minWidth = `${Math.round(Math.min(width, width * 0.62))}px`;
    this.el.removeAttribute("height");
    this.el.setAttribute("width", "100%");
  }

  /** @param {string[]} parts */
  parse(parts) {
    return new DOMParser().parseFromString(`${this.head}${parts.join("")}</svg>`, "image/svg+xml").documentElement;
  }

  /** Go on building, until all parts stand. */
  build() {
    cancelAnimationFrame(this.turn);
    this.turn = 0;
    const parts = this.parts.splice(0, BATCH);
    const made = this.parse(parts);
    for (const part of [...made.childNodes]) this.el.append(this.known(document.adoptNode(part)));
    this.update(this.states, this.edges);
    if (this.parts.length) this.turn = requestAnimationFrame(() => this.build());
  }

  /** @param {Node} part */
  known(part) {
    if (!(part instanceof Element)) return part;
    const node = part.getAttribute("data-node"), edge = part.getAttribute("data-edge");
    if (node !== null) this.nodes.set(node, part);
    if (edge !== null && part.classList.contains("pf-edge")) {
      const [source, action] = edge.split("|");
      const key = `${source}|${action}`;
      this.arrows.set(key, [...(this.arrows.get(key) || []), part]);
      this.taken.delete(key);
    }
    return part;
  }

  /** @param {HTMLElement} holder */
  mount(holder) {
    holder.replaceChildren(this.el);
    if (this.parts.length) this.build();
  }

  /** @param {Record<string, [string, number, string]>} states @param {Record<string, number>} edges */
  update(states, edges) {
    Object.assign(this, { states, edges });
    for (const [path, g] of this.nodes) {
      const state = states[path] || IDLE;
      if (this.shown.get(path) === state) continue;
      this.shown.set(path, state);
      const [status, visits, caption] = state;
      if (g.getAttribute("data-state") !== status) {
        g.setAttribute("data-state", status);
        const glyph = g.querySelector(".pf-glyph");
        if (glyph) glyph.setAttribute("d", this.glyphs[status] || "");
      }
      if (g.classList.contains("pf-node")) this.write(g, visits, caption);
    }
    for (const [key, arrows] of this.arrows) {
      const count = edges[key] || 0;
      if (this.taken.get(key) === count) continue;
      this.taken.set(key, count);
      for (const g of arrows) {
        g.setAttribute("data-count", String(count));
        g.classList.toggle("pf-taken", count > 0);
        const line = g.querySelector("path");
        if (line) line.setAttribute("stroke-width", String(count ? Math.min(1.9 + 0.5 * Math.log2(count), 4.5) : 1.5));
      }
    }
  }

  /** @param {Element} g @param {number} visits @param {string} caption */
  write(g, visits, caption) {
    const badge = g.querySelector(".pf-visits");
    if (badge) {
      badge.setAttribute("display", visits > 1 ? "inline" : "none");
      const text = badge.querySelector("text");
      const words = visits < 10000 ? `×${visits}` : `×${Math.floor(visits / 1000)}k`;
      if (text && text.textContent !== words) {
        text.textContent = words;
        const rect = /** @type {Element} */ (badge.querySelector("rect"));
        const right = Number(g.getAttribute("data-right") || Number(rect.getAttribute("x")) + Number(rect.getAttribute("width")));
        g.setAttribute("data-right", String(right));
        const width = words.length * 6.4 + 8;
        rect.setAttribute("x", String(right - width));
        rect.setAttribute("width", String(width));
        text.setAttribute("x", String(right - width / 2));
      }
    }
    let under = g.querySelector(".pf-caption");
    if (!under && caption) under = this.caption(g);
    if (under && under.textContent !== caption) {
      under.textContent = caption;
      const shape = g.querySelector(".pf-shape"), room = Number(shape && shape.getAttribute("width")) - 8;
      if (room > 0) under.setAttribute("font-size", Math.min(10, Math.max((10 * room) / (caption.length * 5.6), 7)).toFixed(1));
    }
  }

  /** Room for a second line: the label moves up by half of it. @param {Element} g */
  caption(g) {
    const labels = [...g.querySelectorAll(".pf-label")];
    const last = labels[labels.length - 1];
    for (const label of labels) label.setAttribute("y", String(Number(label.getAttribute("y")) - 6.5));
    const text = document.createElementNS(SVG, "text");
    const place = { class: "pf-caption", x: last.getAttribute("x"), y: Number(last.getAttribute("y")) + 14 };
    for (const [k, v] of Object.entries({ ...place, "font-size": 10, "text-anchor": "middle" })) text.setAttribute(k, String(v));
    last.after(text);
    return text;
  }
}

/** Hide the static picture that stands beside the live view, for readers who have none. @param {HTMLElement} el @param {string} mark */
function hideStatic(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const area = child && child.parentElement;
  if (!area || !mark) return () => {};
  const isOurs = (/** @type {Element} */ other) => {
    const still = other.querySelector("[data-static]"), img = other.querySelector("img");
    return still ? still.getAttribute("data-static") === mark : !!img && img.src.startsWith("data:image/svg") && decodeURIComponent(img.src).includes(`data-static="${mark}"`);
  };
  const hide = () => {
    for (const other of area.children) if (other !== child && isOurs(other)) other.classList.add("pf-hidden-static");
    watcher.disconnect();   // never the whole area: this view changes often, and each change would be looked at
    watcher.observe(area, { childList: true });
    for (const other of area.children) if (other !== child) watcher.observe(other, { childList: true, subtree: true });
  };
  const watcher = new MutationObserver(hide);
  hide();
  return () => watcher.disconnect();
}

/** @param {{model: any, el: HTMLElement}} props */
function render({ model, el }) {
  const root = make("div", "pf-run-view");
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  // Lab looks at the focused element first, so each carries the mark, not the root alone
  root.addEventListener("focusin", (event) => /** @type {Element} */ (event.target).setAttribute("data-lm-suppress-shortcuts", "true"));

  const strip = make("div", "pf-strip");
  const head = make("div", "pf-head");
  const counts = make("div", "pf-counts");
  const facts = make("div", "pf-facts");
  const tools = make("div", "pf-tools");
  const spoken = make("div", "pf-spoken");
  spoken.setAttribute("role", "status");
  spoken.setAttribute("aria-live", "polite");
  const pause = make("button", "pf-button", "Pause");
  const step = make("button", "pf-button", "Step");
  const stop = make("button", "pf-button pf-stop", "Stop");
  step.title = "Let one more node go (n)";
  pause.title = "Hold before the next node (space)";
  stop.title = "End every run of this view (s)";
  const more = make("button", "pf-button pf-more", "More");
  more.setAttribute("aria-haspopup", "menu");
  more.setAttribute("aria-expanded", "false");
  more.title = "Files, and the diagram as text";
  const menu = make("div", "pf-menu");
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", "More");
  menu.hidden = true;
  const moreBox = make("div", "pf-more-box");
  moreBox.append(more, menu);
  tools.append(pause, step, stop, moreBox);
  const said = make("div", "pf-said");
  said.setAttribute("role", "status");
  said.hidden = true;
  strip.append(head, counts, facts, tools);

  const problems = make("div", "pf-problems");
  const tabs = make("div", "pf-flow-tabs");
  tabs.setAttribute("role", "tablist");
  const graph = make("div", "pf-graph");
  graph.tabIndex = -1;
  const heat = make("div", "pf-heat");
  const lanes = make("div", "pf-lanes");
  const middle = make("div", "pf-middle");
  middle.append(graph, lanes);
  const timeline = make("div", "pf-timeline");
  const pinned = make("div", "pf-pinned");

  const transport = make("div", "pf-transport");
  const back = make("button", "pf-button pf-step", "‹");
  const forth = make("button", "pf-button pf-step", "›");
  const now = make("button", "pf-button pf-now", "Live");
  const slider = /** @type {HTMLInputElement} */ (make("input", "pf-slider"));
  const place = make("span", "pf-place");
  back.title = "One step back (left arrow)";
  back.setAttribute("aria-label", "One step back");
  forth.title = "One step forward (right arrow)";
  forth.setAttribute("aria-label", "One step forward");
  now.title = "Back to how it stands now (End)";
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", "Time: steps finished");
  transport.append(back, slider, forth, now, place);

  const panel = make("div", "pf-panel");
  const panelBar = make("div", "pf-panel-bar");
  const panelTabs = make("div", "pf-panel-tabs");
  panelTabs.setAttribute("role", "tablist");
  panelTabs.setAttribute("aria-label", "About this step");
  const find = /** @type {HTMLInputElement} */ (make("input", "pf-find"));
  find.type = "search";
  find.placeholder = "Search";
  find.title = "Keep the rows with this text (/)";
  find.setAttribute("aria-label", "Search in this tab");
  const body = make("div", "pf-panel-body");
  body.setAttribute("role", "tabpanel");
  body.tabIndex = 0;
  panelBar.append(panelTabs, find);
  panel.append(panelBar, body);
  root.append(strip, said, problems, tabs, heat, pinned, middle, timeline, transport, panel, spoken);
  root.style.setProperty("--pv-height", `${Math.max(model.get("height") || 500, 240)}px`);
  el.append(root);

  let chosen = 0;
  /** @type {Diagram[]} */
  let diagrams = [];
  let gone = false;
  /** @type {string | undefined} */
  let pinnedNow;
  /** @type {Map<string, ReturnType<typeof laneOf>>} */
  const rows = new Map();

  const send = (/** @type {object} */ message) => model.send(message);
  const live = () => ["running", "pending", "paused", "asking"].includes(model.get("strip").status);

  function drawPictures() {
    const pictures = model.get("pictures");
    for (const diagram of diagrams) cancelAnimationFrame(diagram.turn);
    diagrams = pictures.map((/** @type {{svg: string}} */ p) => new Diagram(p.svg, model.get("signs")));
    chosen = Math.min(chosen, Math.max(diagrams.length - 1, 0));
    tabs.replaceChildren();
    tabs.hidden = diagrams.length < 2;
    pictures.forEach((/** @type {{name: string}} */ p, /** @type {number} */ k) => {
      const tab = make("button", "pf-flow-tab", p.name);
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => { chosen = k; showPicture(); });
      tabs.append(tab);
    });
    showPicture();
  }

  function showPicture() {
    [...tabs.children].forEach((tab, k) => tab.setAttribute("aria-selected", String(k === chosen)));
    const diagram = diagrams[chosen];
    for (const other of diagrams) if (other !== diagram) cancelAnimationFrame(other.turn);
    if (diagram) diagram.mount(graph);
    else graph.replaceChildren();
    middle.dataset.slim = String(!!diagram && diagram.ratio < 2.1);
    drawStates();
  }

  function drawStates() {
    const diagram = diagrams[chosen];
    if (diagram) diagram.update(model.get("states")[String(chosen)] || {}, model.get("edges")[String(chosen)] || {});
  }

  function drawStrip() {
    const s = model.get("strip");
    root.dataset.status = s.status;
    head.replaceChildren(sign(model.get("signs")[SIGN_OF[s.status] || s.status], s.status), make("span", "pf-name", s.name));
    if (s.runs > 1) head.append(make("span", "pf-times", `×${s.runs}`));
    const listed = Object.entries(s.counts || {});
    counts.replaceChildren(...listed.map(([status, n]) => {
      const chip = make("span", "pf-count", s.runs > 1 ? `${n} ${WORDS[status]}` : WORDS[status]);
      chip.dataset.state = SIGN_OF[status] || status;
      return chip;
    }));
    drawFacts();
    const isLive = live() && !gone;
    pause.hidden = stop.hidden = !isLive;
    moreBox.hidden = gone || model.comm_live === false;   // nobody there to write a file
    const isPaused = s.status === "paused" || ((s.counts || {}).paused && !(s.counts || {}).running);
    pause.textContent = isPaused ? "Resume" : "Pause";
    step.hidden = !isLive || !isPaused;
    problems.replaceChildren(...(s.problems || []).map((/** @type {string} */ text) => make("div", "pf-problem", text)));
    root.setAttribute("aria-label", `Run view of ${s.name}`);
    if (s.pinned !== pinnedNow) { pinnedNow = s.pinned; drawHeat(); }
    const words = `${s.name}: ${listed.map(([status, n]) => `${n} ${WORDS[status]}`).join(", ")}`;
    if (spoken.textContent !== words) spoken.textContent = words;
  }

  function drawFacts() {
    const s = model.get("strip");
    const told = [];
    if (s.most) told.push(`step ${s.steps}/${s.most}`);
    else if (s.steps !== undefined) told.push(`${s.steps} step${s.steps === 1 ? "" : "s"}`);
    if (s.progress) told.push(`${s.progress[0]} of ${s.progress[1]}`);
    if (s.seconds !== null && s.seconds !== undefined) told.push(clock(s.seconds));
    else if (begun !== null) told.push(clock((performance.now() - begun) / 1000));
    if (s.tokens) told.push(`${s.tokens >= 1000 ? `${(s.tokens / 1000).toFixed(1)}k` : s.tokens} tokens`);
    if (s.cost) told.push(`$${s.cost}`);
    if (gone) told.push("kernel gone");
    const text = told.join("  ·  ");
    if (facts.textContent !== text) facts.textContent = text;
  }
  /** @type {number | null} */
  let begun = live() ? performance.now() - age() : null;
  /** How long the runs were going on when this page came to see them, ms, by the clocks of both machines. */
  function age() {
    const { epoch } = model.get("strip");
    return epoch ? Math.max(Date.now() - epoch * 1000, 0) : 0;
  }

  function drawLanes() {
    const all = model.get("lanes");
    lanes.hidden = !all.length;
    lanes.dataset.size = all.length === 1 ? "one" : all.length <= 6 ? "few" : "rows";
    middle.dataset.lanes = lanes.dataset.lanes = String(all.length);
    const kept = new Set(all.map((/** @type {any} */ lane) => String(lane.key)));
    for (const [key, lane] of rows) if (!kept.has(key)) { lane.row.remove(); rows.delete(key); }
    all.forEach((/** @type {any} */ lane, /** @type {number} */ k) => {
      let made = rows.get(String(lane.key));
      if (!made) {
        made = laneOf(lane);
        rows.set(String(lane.key), made);
        lanes.append(made.row);
        if (!axis.parentElement) lanes.prepend(axis);
      }
      drawLane(made, lane, lane.run ?? k, all.length);
    });
  }

  /** The parts of a lane, made once; `drawLane` changes what differs. @param {any} lane */
  function laneOf(lane) {
    const row = make("section", "pf-lane"), bar = make("div", "pf-lane-bar"), state = make("span", "pf-lane-sign"), name = make("button", "pf-lane-name");
    const at = make("span", "pf-lane-at"), spark = make("span", "pf-lane-spark"), steps = make("span", "pf-lane-steps");
    const end = make("button", "pf-button pf-small", "Stop"), body = make("div", "pf-lines"), cards = make("div", "pf-cards");
    row.setAttribute("aria-label", `Agent ${lane.name}`);
    name.textContent = lane.name;
    name.title = "Show this run alone in the diagram";
    end.setAttribute("aria-label", `Stop ${lane.name}`);
    body.tabIndex = 0;
    body.setAttribute("role", "log");
    body.setAttribute("aria-live", "off");
    body.setAttribute("aria-label", `What ${lane.name} says`);
    body.addEventListener("scroll", () => {   // a reader who scrolled up stays where he is
      body.dataset.held = body.scrollTop + body.clientHeight < body.scrollHeight - 12 ? "true" : "";
    });
    const made = { row, state, name, at, spark, steps, end, body, cards, run: -1, drawn: /** @type {any[]} */ ([]), lane: /** @type {any} */ ({ lines: [] }), spans: null };
    name.addEventListener("click", () => send({ do: "focus", run: model.get("focus") === made.run ? -1 : made.run }));
    end.addEventListener("click", () => send({ do: "stop", run: made.run }));
    bar.append(state, name, at, spark, steps, end);
    row.append(bar, body, cards);
    return made;
  }

  /** @param {ReturnType<typeof laneOf>} made @param {any} lane @param {number} k @param {number} of */
  function drawLane(made, lane, k, of) {
    const isLive = model.get("cursor").live !== false, drawn = [lane, k, of, gone, isLive, model.get("focus") === k];
    if (drawn.every((value, n) => value === made.drawn[n])) return;
    const before = made.drawn.length ? made.lane : { lines: [] };
    Object.assign(made, { drawn, lane, run: k });
    if (before.status !== lane.status) {
      made.row.dataset.status = lane.status;
      made.state.replaceChildren(sign(model.get("signs")[SIGN_OF[lane.status] || lane.status], lane.status));
    }
    made.name.hidden = of === 1;
    made.name.setAttribute("aria-pressed", String(model.get("focus") === k));
    write(made.at, lane.at.length ? lane.at.join(", ") : WORDS[lane.status]);
    made.spark.hidden = of <= 6;
    made.steps.hidden = of === 1;
    write(made.steps, `${lane.steps} step${lane.steps === 1 ? "" : "s"}${lane.seconds !== null ? ` · ${clock(lane.seconds)}` : ""}`);
    made.end.hidden = of === 1 || !["running", "paused", "asking", "pending"].includes(lane.status) || gone || !isLive;
    drawLines(made.body, before.lines, lane.lines, of === 1);
    drawCards(made.cards, lane, k, of > 6);
  }

  /** The lines of a lane: what is the same object stays as it is. @param {HTMLElement} body @param {any[]} old @param {any[]} lines @param {boolean} named */
  function drawLines(body, old, lines, named) {
    if (old === lines) return;
    const shift = lines.length ? Math.max(old.indexOf(lines[0]), 0) : old.length;
    for (let k = 0; k < shift; k += 1) body.firstChild?.remove();
    lines.forEach(([stream, text, node], k) => {
      let line = body.children[k];
      if (line && old[shift + k] === lines[k]) return;
      if (!line) {
        line = make("div", "pf-line");
        line.append(make("span", "pf-line-node"), make("span", "pf-line-text"));
        body.append(line);
      }
      line.className = `pf-line pf-${stream === "token" || stream === "log" ? stream : "print"}`;
      /** @type {HTMLElement} */ (line.firstChild).hidden = !named || !node;
      write(/** @type {HTMLElement} */ (line.firstChild), node);
      write(/** @type {HTMLElement} */ (line.lastChild), text.replace(/\n$/, ""));
    });
    while (body.children.length > lines.length) body.lastChild?.remove();
    body.hidden = !lines.length;
    if (!body.dataset.held) follow(body);
  }

  /** @type {Set<HTMLElement>} lines that go on with what is said last, in one turn for all: asking for a height lays the page out */
  const following = new Set();
  let turn = 0;
  function follow(/** @type {HTMLElement} */ body) {
    following.add(body);
    turn ||= requestAnimationFrame(() => {
      turn = 0;
      const heights = [...following].map((el) => el.scrollHeight);
      [...following].forEach((el, k) => { el.scrollTop = heights[k]; });
      following.clear();
    });
  }

  /** Open questions and the error. @param {HTMLElement} holder @param {any} lane @param {number} k @param {boolean} short */
  function drawCards(holder, lane, k, short) {
    const asks = (lane.asks || []).map((/** @type {any} */ ask) => card(holder, ask, k));
    const errors = lane.error ? [errorCard(lane.error, short)] : [];
    const same = asks.length === holder.children.length && asks.every((/** @type {Element} */ el, /** @type {number} */ n) => el === holder.children[n]);
    if (errors.length || !same) holder.replaceChildren(...asks, ...errors);
  }

  /** Colour of a node's bars: by the order in which nodes were seen, so that it stays. @param {string} node */
  function colour(node) {
    if (!colours.has(node)) colours.set(node, colours.size % 6);
    return colours.get(node);
  }
  /** @type {Map<string, number>} */
  const colours = new Map();

  /** The visits of each run as a thin line of bars, beside its name; all rows on one axis of time, which stands above them. */
  function drawSparks() {
    const spans = model.get("spans"), all = spans.flat();
    const begin = Math.min(...all.map((/** @type {any[]} */ s) => s[1])), end = Math.max(begin + 1, ...all.map((/** @type {any[]} */ s) => s[2]));
    const moved = begin !== sparked[0] || end > sparked[1];
    if (moved) sparked = [begin, end > sparked[1] && live() ? begin + (end - begin) * 1.1 : end];   // room, so that not each look draws all anew
    if (all.length) {
      write(axisFrom, clock(begin / 1000));
      write(axisTo, clock(sparked[1] / 1000));
    }
    axis.hidden = !all.length;
    model.get("lanes").forEach((/** @type {any} */ lane, /** @type {number} */ k) => {
      const made = rows.get(String(lane.key));
      if (!made || (made.spans === spans[k] && !moved)) return;
      made.spans = spans[k];
      made.spark.replaceChildren(sparkline(spans[k] || [], sparked[0], sparked[1]));
    });
  }
  let sparked = [0, 0];
  const axis = make("div", "pf-axis-row"), axisFrom = make("span", ""), axisTo = make("span", "");
  const axisLine = make("span", "pf-axis-line");
  axisLine.append(axisFrom, axisTo);
  const axisBar = make("div", "pf-axis-bar");
  axisBar.append(make("span", "", "one time axis for all rows"), axisLine);
  axis.append(axisBar);
  axis.hidden = true;

  /** @param {any[][]} spans @param {number} begin @param {number} end ms */
  function sparkline(spans, begin, end) {
    const svg = document.createElementNS(SVG, "svg");
    for (const [key, v] of Object.entries({ viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "pf-spark", "aria-hidden": "true" })) {
      svg.setAttribute(key, v);
    }
    /** @type {Record<string, string>} */
    const paths = {};
    for (const [node, from, to, failed] of spans) {
      const wide = Math.max(((to - from) / (end - begin || 1)) * 100 - 0.6, 1), cls = failed ? "pf-bar-failed" : `pf-bar-${colour(node)}`;
      paths[cls] = `${paths[cls] || ""}M${(((from - begin) / (end - begin || 1)) * 100).toFixed(1)} 1h${wide.toFixed(1)}v8h-${wide.toFixed(1)}z`;
    }
    for (const [cls, d] of Object.entries(paths)) {
      const bars = document.createElementNS(SVG, "path");
      bars.setAttribute("class", cls);
      bars.setAttribute("d", d);
      svg.append(bars);
    }
    return svg;
  }

  /** What failed, on which input, and the user's own lines. @param {any} error @param {boolean} short */
  function errorCard(error, short) {
    const card = make("div", "pf-error-card");
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", `Error in ${error.node || error.run}`);
    const head = make("div", "pf-error-head");
    head.append(make("strong", "", error.type), document.createTextNode(` ${error.text}`));
    card.append(head);
    if (short) return card;
    const told = make("dl", "pf-error-facts");
    if (error.node) told.append(make("dt", "", "node"), make("dd", "", error.node));
    for (const [name, kind, text] of error.inputs) told.append(make("dt", "", name), make("dd", "", `${text}  (${kind})`));
    card.append(told);
    if (error.trace.length) card.append(make("pre", "pf-error-trace", error.trace.join("\n")));
    return card;
  }

  /** How long a question stays open, once a second, until its card is gone.
   *  @param {HTMLElement} form @param {number} ends seconds since the epoch */
  function countDown(form, ends) {
    const left = make("div", "pf-left");
    left.setAttribute("role", "timer");
    form.querySelector(".pf-question")?.after(left);
    let shown = false;
    const tick = () => {
      shown ||= form.isConnected;
      if (shown && !form.isConnected) { clearInterval(clockwork); return; }
      const seconds = Math.max(0, Math.ceil(ends - Date.now() / 1000));
      left.textContent = seconds >= 60 ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min left` : `${seconds} s left`;
      left.dataset.soon = String(seconds <= 10);
    };
    const clockwork = setInterval(tick, 500);
    tick();
  }

  /** A question with its buttons, its form or its line to type in. */
  function card(/** @type {HTMLElement} */ row, /** @type {any} */ ask, /** @type {number} */ run) {
    const kept = row.querySelector(`.pf-ask[data-ask="${ask.ask}"]`);
    if (kept) {
      const said = kept.querySelector(".pf-refused");
      if (said && said.textContent !== ask.refused) said.textContent = ask.refused;
      return kept;
    }
    const form = /** @type {HTMLFormElement} */ (make("form", "pf-ask"));
    form.dataset.ask = String(ask.ask);
    form.setAttribute("aria-label", "A question of this agent");
    form.append(make("div", "pf-question", ask.question));
    const answer = (/** @type {any} */ value) => send({ do: "answer", run, ask: ask.ask, value });
    const line = make("div", "pf-answers");
    if (ask.choices && ask.choices.length) {
      for (const choice of ask.choices) {
        const button = /** @type {HTMLButtonElement} */ (make("button", "pf-button", choice));
        button.type = "button";
        button.addEventListener("click", () => answer(choice));
        line.append(button);
      }
      form.addEventListener("submit", (event) => event.preventDefault());
    } else {
      const names = ask.schema ? Object.keys(ask.schema) : [""];
      const inputs = names.map((name) => {
        const label = make("label", "pf-field", name);
        const input = /** @type {HTMLInputElement} */ (make("input", "pf-input"));
        const kind = ask.schema ? ask.schema[name] : "str";
        input.type = { bool: "checkbox", int: "number", float: "number" }[kind] || "text";
        if (kind === "float") input.step = "any";
        if (!name) input.setAttribute("aria-label", ask.question);
        label.append(input);
        line.append(label);
        return /** @type {[string, HTMLInputElement]} */ ([name, input]);
      });
      const button = /** @type {HTMLButtonElement} */ (make("button", "pf-button pf-primary", "Answer"));
      button.type = "submit";
      line.append(button);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const value = (/** @type {HTMLInputElement} */ input) => (input.type === "checkbox" ? input.checked : input.value);
        answer(ask.schema ? Object.fromEntries(inputs.map(([name, input]) => [name, value(input)])) : inputs[0][1].value);
      });
    }
    form.append(line, make("div", "pf-refused", ask.refused || ""));
    if (ask.ends) countDown(form, ask.ends);
    return form;
  }

  /** One cell per run, sorted by status; a click looks into that run. */
  function drawHeat() {
    const coded = model.get("heat");
    heat.hidden = !coded;
    const s = model.get("strip");
    pinned.hidden = !s.pinned;
    if (s.pinned) {
      const all = make("button", "pf-button pf-small", "Show all");
      all.addEventListener("click", () => send({ do: "focus", run: -1 }));
      pinned.replaceChildren(make("span", "", "Looking into"), make("strong", "", s.pinned), all);
    }
    if (!coded) return;
    const parts = coded.split(",").map((/** @type {string} */ p) => [HEAT[p[0]], Number(p.slice(1))]);
    const total = parts.reduce((/** @type {number} */ sum, /** @type {any} */ p) => sum + p[1], 0);
    const each = Math.ceil(total / CELLS);
    const cells = Math.ceil(total / each);
    const columns = Math.min(cells, 100);
    const lines = Math.ceil(cells / columns);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${columns * 10} ${lines * 10}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", parts.map((/** @type {any} */ [status, n]) => `${n} ${WORDS[status]}`).join(", "));
    let cell = 0, runs = 0;
    const legend = make("div", "pf-heat-legend");
    for (const [status, n] of parts) {
      runs += n;
      let path = "";
      for (const last = Math.ceil(runs / each); cell < last; cell += 1) path += `M${(cell % columns) * 10 + 1} ${Math.floor(cell / columns) * 10 + 1}h8v8h-8z`;
      const shape = document.createElementNS(SVG, "path");
      shape.setAttribute("d", path);
      shape.setAttribute("class", "pf-heat-cells");
      shape.setAttribute("data-state", SIGN_OF[status] || status);
      const title = document.createElementNS(SVG, "title");
      title.textContent = `${n} ${WORDS[status]}`;
      shape.append(title);
      svg.append(shape);
      const item = make("span", "pf-heat-item");
      item.append(sign(model.get("signs")[SIGN_OF[status] || status], status), make("span", "", `${n.toLocaleString("en")} ${WORDS[status]}`));
      legend.append(item);
    }
    if (each > 1) legend.append(make("span", "pf-heat-each", `one cell = ${each} runs`));
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * columns), y = Math.floor(((event.clientY - box.top) / box.height) * lines);
      at = Math.min((y * columns + x) * each, total - 1);
      send({ do: "pin", at });
    });
    heat.replaceChildren(svg, legend);
  }
  let at = -1;
  heat.tabIndex = 0;
  heat.setAttribute("aria-label", "Runs by status: left and right look into the previous or next one");
  heat.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -100, ArrowDown: 100 }[event.key];
    if (event.key === "Escape") send({ do: "focus", run: -1 });
    else if (move) { at = Math.min(Math.max(at + move, 0), model.get("strip").runs - 1); send({ do: "pin", at }); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  let isDue = false;
  function timelineSoon() {   // bars and marks come in one message: drawn once
    if (!isDue) queueMicrotask(() => { isDue = false; drawTimeline(); });
    isDue = true;
  }
  function drawTimeline() {
    const spans = model.get("spans"), marks = model.get("marks");
    const times = [...spans.flat().map((/** @type {any} */ s) => s[2]), ...marks.flat().map((/** @type {any} */ m) => m[2] ?? m[1])];
    const end = Math.max(1, ...times, marks.some((/** @type {any[]} */ row) => row.some((m) => m[2] === null && m[0] !== "|")) ? elapsed() : 1);
    const open = marks.map((/** @type {any[]} */ row) => row.filter((m) => m[0] === ">"));   // visits under way
    const used = [...spans, ...open].some((/** @type {any[]} */ row) => row.length);
    timeline.hidden = !used || spans.length > 6;
    if (spans.length > 6) drawSparks();
    if (timeline.hidden) return;
    timelineEnd = end;
    isGrowing = open.some((/** @type {any[]} */ row) => row.length);
    const names = [...new Set([...spans.flat().map((/** @type {any} */ s) => s[0]), ...open.flat().map((/** @type {any} */ m) => m[3])])];
    names.forEach(colour);
    names.sort((x, y) => colour(x) - colour(y));
    const deep = spans.map((/** @type {any[]} */ row, /** @type {number} */ k) => Math.min(1 + Math.max(0, ...[...row, ...(open[k] || [])].map((s) => s[4])), 8));
    const height = spans.length === 1 ? 11 : 9;
    const tall = deep.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n * (height + 2) + 4, 0);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 1000 ${tall}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Timeline of ${spans.length} runs over ${clock(end / 1000)}`);
    svg.style.height = `${Math.min(tall, 140)}px`;
    const names_ = make("div", "pf-timeline-names"), overlay = make("div", "pf-marks"), scaled = Math.min(1, 140 / tall);
    overlay.style.height = names_.style.height = svg.style.height;
    let top = 0;
    spans.forEach((/** @type {any[]} */ row, /** @type {number} */ k) => {
      for (const [node, from, to, failed, level] of row) {
        const bar = document.createElementNS(SVG, "rect");
        const at = {
          x: (from / end) * 1000, y: top + Math.min(level, 7) * (height + 2), width: Math.max(((to - from) / end) * 1000, 1.5), height, rx: 1.5,
        };
        for (const [key, v] of Object.entries(at)) bar.setAttribute(key, String(v));
        bar.setAttribute("class", failed ? "pf-bar pf-bar-failed" : `pf-bar pf-bar-${colour(node)}`);
        const title = document.createElementNS(SVG, "title");
        title.textContent = `${node}  ${((to - from) / 1000).toFixed(3)} s${failed ? "  failed" : ""}`;
        bar.append(title);
        svg.append(bar);
      }
      for (const mark of marks[k] || []) {
        const level = Math.min(mark[4] || 0, 7) * (height + 2);
        overlay.append(markOf(mark, end, (top + level) * scaled, height * scaled));
      }
      if (spans.length > 1) {
        const name = make("span", "pf-timeline-name", (model.get("lanes")[k] || {}).name || "");
        name.style.top = `${top * scaled + (height * scaled) / 2}px`;
        names_.append(name);
      }
      top += deep[k] * (height + 2) + 4;
    });
    const legend = make("span", "pf-legend");
    names.slice(0, 12).forEach((/** @type {string} */ name) => {
      const item = make("span", "pf-legend-item");
      item.append(make("span", `pf-swatch pf-swatch-${colour(name)}`), make("span", "", name));
      legend.append(item);
    });
    const scale = make("div", "pf-scale");
    scale.append(make("span", "", "0 s"), legend, make("span", "", clock(end / 1000)));
    const frame = make("div", "pf-timeline-frame");
    frame.append(svg, overlay, needle);
    timeline.dataset.named = String(spans.length > 1);
    timeline.replaceChildren(...(spans.length > 1 ? [names_, frame, make("span", "")] : [frame]), scale);
    drawNeedle();
  }

  let isGrowing = false, grown = 0;
  /** Bars of visits under way grow, twice a second, also while nothing new comes from the kernel. */
  function grow() {
    const now = performance.now();
    if (!isGrowing || !live() || timeline.hidden || elapsed() <= timelineEnd || now < grown + 500) return;
    grown = now;
    drawTimeline();
  }
  /** Milliseconds since the first of the runs began. */
  function elapsed() {
    return begun === null ? 1 : performance.now() - begun;
  }

  /** A retry, a wait, or the visit under way, over the bars. @param {any[]} mark @param {number} end @param {number} top @param {number} height */
  function markOf([sign, from, to, words], end, top, height) {
    const kind = { "|": "retry", "?": "wait", ">": "now" }[/** @type {"|"|"?"|">"} */ (sign)];
    const el = make("span", `pf-mark pf-mark-${kind}`, sign === "?" ? "?" : "");
    if (kind === "now") el.classList.add(`pf-swatch-${colour(words)}`);
    const until = to ?? (kind === "retry" ? from : end);
    el.title = kind === "now" ? `${words}, going on` : kind === "wait" && to !== null ? `${words} (${((to - from) / 1000).toFixed(1)} s)` : words;
    el.style.left = `${(Math.min(from, end) / end) * 100}%`;
    el.style.width = kind === "retry" ? "" : `max(${(Math.max(until - from, 0) / end) * 100}%, ${kind === "wait" ? 9 : 2}px)`;
    el.style.top = `${top}px`;
    el.style.height = `${height}px`;
    return el;
  }

  // the time cursor: a needle on the timeline, a slider over the steps, two buttons and the arrow keys
  let timelineEnd = 1;
  const needle = make("div", "pf-needle");
  function drawNeedle() {
    const c = model.get("cursor");
    needle.hidden = !c || c.live || c.ms === null;
    if (!needle.hidden) needle.style.left = `${Math.min(Math.max(c.ms / timelineEnd, 0), 1) * 100}%`;
  }
  function drawCursor() {
    const c = model.get("cursor");
    drawLanes();            // what belongs to now only, as the buttons, is not shown of the past
    transport.hidden = !c || !c.of;
    if (transport.hidden) return;
    root.dataset.past = String(!c.live);
    slider.max = String(c.of);
    if (!sliding) slider.value = String(c.at);
    slider.setAttribute("aria-valuetext", `step ${c.at} of ${c.of}: ${c.text}`);
    back.toggleAttribute("disabled", gone || c.at <= 0);
    forth.toggleAttribute("disabled", gone || c.live);
    slider.disabled = gone;
    now.hidden = c.live;
    now.textContent = live() ? "Live" : "End";
    place.replaceChildren(make("strong", "", `step ${c.at} of ${c.of}`), make("span", "", c.text ? `  ${c.text}` : ""));
    drawNeedle();
  }
  let sliding = false, sent = 0;
  /** @type {object | null} */
  let waiting = null;
  /** At most twelve times a second, the last one always. @param {object} message */
  function seek(message) {
    waiting = message;
    if (sent) return;
    const go = () => { sent = 0; if (waiting) { send(waiting); waiting = null; sent = window.setTimeout(go, 80); } };
    go();
  }
  slider.addEventListener("input", () => { sliding = true; seek({ do: "cursor", step: Number(slider.value) }); });
  slider.addEventListener("change", () => { sliding = false; });
  back.addEventListener("click", () => send({ do: "cursor", by: -1 }));
  forth.addEventListener("click", () => send({ do: "cursor", by: 1 }));
  now.addEventListener("click", () => send({ do: "live" }));
  timeline.addEventListener("pointerdown", (event) => {
    const frame = timeline.querySelector(".pf-timeline-frame");
    if (!frame || gone || !frame.contains(/** @type {Node} */ (event.target))) return;
    timeline.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ e) => {
      const held = timeline.querySelector(".pf-timeline-frame");
      const box = (held || timeline).getBoundingClientRect();
      seek({ do: "cursor", ms: Math.min(Math.max((e.clientX - box.left) / box.width, 0), 1) * timelineEnd });
    };
    const end = () => { timeline.removeEventListener("pointermove", move); timeline.removeEventListener("pointerup", end); timeline.removeEventListener("pointercancel", end); };
    timeline.addEventListener("pointermove", move);
    timeline.addEventListener("pointerup", end);
    timeline.addEventListener("pointercancel", end);
    move(event);
    event.preventDefault();
  });

  // the tabs below
  function drawTabs() {
    const named = model.get("tabs");
    panel.hidden = !named.length;
    panelTabs.replaceChildren(...named.map((/** @type {string} */ name) => {
      const tab = make("button", "pf-panel-tab", TABS[name]);
      tab.dataset.tab = name;
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => send({ do: "tab", name }));
      return tab;
    }));
    panelTabs.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const all = /** @type {HTMLElement[]} */ ([...panelTabs.children]);
      const here = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      if (!move || here < 0) return;
      const next = all[(here + move + all.length) % all.length];
      next.focus();
      next.click();
      event.preventDefault();
      event.stopPropagation();
    });
  }
  function drawPanel() {
    const p = model.get("panel");
    if (!p.tab) return;
    for (const tab of /** @type {HTMLElement[]} */ ([...panelTabs.children])) {
      const is = tab.dataset.tab === p.tab;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
    }
    const wanted = find.value.trim().toLowerCase();
    const shown = (p.rows || []).filter((/** @type {string[]} */ row) => !wanted || row.join(" ").toLowerCase().includes(wanted));
    const lines = shown.map((/** @type {string[]} */ row) => {
      const line = make("div", `pf-row pf-row-${p.tab}`);
      row.forEach((text, k) => line.append(make("span", `pf-cell pf-cell-${k}`, text)));
      if (p.tab === "diff") line.dataset.sign = row[0];
      return line;
    });
    for (const card of p.cards || []) lines.push(errorCard(card, false));
    if (!shown.length && wanted && (p.rows || []).length) lines.push(make("div", "pf-note", "Nothing has this text."));
    if (p.note) lines.push(make("div", "pf-note", p.note));
    body.dataset.tab = p.tab;
    body.setAttribute("aria-label", TABS[p.tab]);
    body.replaceChildren(...lines);
  }
  find.addEventListener("input", drawPanel);
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    find.value = "";
    drawPanel();
    root.focus();
    event.stopPropagation();
  });

  // the menu
  /** @param {string} text @param {string} title @param {() => void} act */
  function entry(text, title, act) {
    const item = make("button", "pf-menu-item", text);
    item.setAttribute("role", "menuitem");
    item.tabIndex = -1;
    item.title = title;
    item.addEventListener("click", () => { openMenu(false); act(); });
    menu.append(item);
    return item;
  }
  entry("Export HTML", "One page that opens anywhere, offline: a file beside the notebook", () => send({ do: "export", what: "html" }));
  entry("Export diagram", "The diagram as it stands: an SVG file beside the notebook", () => send({ do: "export", what: "svg", flow: chosen }));
  entry("Export timeline", "The timeline: an SVG file beside the notebook", () => send({ do: "export", what: "timeline" }));
  entry("Copy Mermaid", "The diagram as text, for a README or a %%flow cell", () => { isAsked = true; send({ do: "mermaid", flow: chosen }); });
  const toEvents = entry("Events", "What happened, event by event, in the tab below", () => { send({ do: "tab", name: "events" }); body.focus(); });
  let isAsked = false;   // the text goes to all pages that show this view; one of them asked
  const entries = () => /** @type {HTMLElement[]} */ ([...menu.children]).filter((item) => !item.hidden);
  /** @param {boolean} open @param {boolean} [back] whether the button gets the focus again */
  function openMenu(open, back = true) {
    if (menu.hidden === !open) return;
    toEvents.hidden = !model.get("tabs").includes("events");
    menu.hidden = !open;
    more.setAttribute("aria-expanded", String(open));
    root.dataset.menu = String(open);
    if (open) entries()[0].focus();
    else if (back) more.focus();
  }
  more.addEventListener("click", () => openMenu(!!menu.hidden));
  moreBox.addEventListener("focusout", (event) => {
    if (!moreBox.contains(/** @type {Node | null} */ (event.relatedTarget))) openMenu(false, false);
  });
  moreBox.addEventListener("keydown", (event) => {
    if (menu.hidden) {
      if (event.key !== "ArrowDown") return;
      openMenu(true);
    } else {
      const all = entries(), here = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: -1 }[event.key];
      event.stopPropagation();   // a letter here is none of the view's keys
      if (event.key === "Escape") openMenu(false);
      else if (to !== undefined) all[(to + all.length) % all.length].focus();
      else return;   // Enter and space press the entry, Tab leaves and so closes
    }
    event.preventDefault();
    event.stopPropagation();
  });
  let saidFor = 0;
  /** Say what came of it, for some time. @param {string} text */
  function say(text) {
    said.textContent = text;
    said.hidden = false;
    clearTimeout(saidFor);
    saidFor = window.setTimeout(() => { said.hidden = true; }, 12_000);
  }
  /** Put a text into the clipboard. @param {string} text @returns {Promise<boolean>} */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {   // no clipboard where the page came by plain http: as pages did before there was one
      const field = /** @type {HTMLTextAreaElement} */ (make("textarea", "pf-input"));
      field.value = text;
      root.append(field);
      field.select();
      const went = document.execCommand("copy");
      field.remove();
      more.focus();
      return went;
    }
  }
  const heard = async (/** @type {any} */ message) => {
    if (!message || typeof message.said !== "string") return;
    if (typeof message.copied !== "string") { say(message.said); return; }
    if (!isAsked) return;
    isAsked = false;
    say(await copy(message.copied) ? message.said : "This page may not write to the clipboard: print(flow.to_mermaid()) shows the text.");
  };
  model.on("msg:custom", heard);

  pause.addEventListener("click", () => send({ do: pause.textContent === "Resume" ? "resume" : "pause" }));
  step.addEventListener("click", () => send({ do: "step" }));
  stop.addEventListener("click", () => { stop.textContent = "Stopping"; send({ do: "stop" }); });
  root.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) || event.ctrlKey || event.metaKey || event.altKey || gone) return;
    if (target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key)) return;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => send({ do: "cursor", by: -1 }), ArrowRight: () => send({ do: "cursor", by: 1 }),
      Home: () => send({ do: "cursor", step: 0 }), End: () => send({ do: "live" }),
      d: () => send({ do: "tab", name: "diff" }), "/": () => find.focus(),
    };
    if (live()) Object.assign(keys, { " ": () => pause.click(), s: () => stop.click(), n: () => send({ do: "step" }) });
    const act = keys[event.key];
    if (act) { act(); event.preventDefault(); event.stopPropagation(); }
  });

  const handlers = {
    "change:pictures": drawPictures, "change:states": drawStates, "change:edges": drawStates, "change:strip": drawStrip,
    "change:lanes": drawLanes, "change:focus": drawLanes, "change:heat": drawHeat, "change:spans": timelineSoon, "change:marks": timelineSoon,
    "change:cursor": drawCursor, "change:panel": drawPanel,
  };
  for (const [event, draw] of Object.entries(handlers)) model.on(event, draw);
  const onGone = () => {
    if (!model.comm_live && live()) { gone = true; root.dataset.gone = "true"; drawStrip(); drawLanes(); drawCursor(); }
  };
  model.on("comm_live_update", onGone);
  const timer = setInterval(() => { if (live() && !gone) { if (begun === null) begun = performance.now(); drawFacts(); grow(); } }, 200);
  let unhide = () => {};
  const later = setTimeout(() => { unhide = hideStatic(el, model.get("static")) || unhide; }, 0);

  // the rest a task each, so that a large flow does not hold the page while it opens
  drawStrip();
  drawTabs();
  const stages = [drawPictures, drawLanes, drawHeat, drawTimeline, drawCursor, drawPanel];
  let stage = 0;
  const next = () => {
    stages.shift()?.();
    stage = stages.length ? window.setTimeout(next, 0) : 0;
  };
  next();

  return () => {
    clearInterval(timer);
    clearTimeout(later);
    clearTimeout(sent);
    clearTimeout(stage);
    clearTimeout(saidFor);
    model.off("msg:custom", heard);
    cancelAnimationFrame(turn);
    unhide();
    for (const [event, draw] of Object.entries(handlers)) model.off(event, draw);
    model.off("comm_live_update", onGone);
  };
}

export default { initialize, render };
