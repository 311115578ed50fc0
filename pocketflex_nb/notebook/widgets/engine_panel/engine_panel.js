// @ts-check
// How the engine stands: numbers, a curve of its lag, and what runs on it.

const SVG = "http://www.w3.org/2000/svg";
const SIGN_OF = { pending: "idle", paused: "waiting", stopped: "cancelled", restarting: "waiting", starting: "running" };
const FACTS = [
  ["lag", "engine lag", "ms"], ["worst", "worst lag", "ms"], ["live", "runs live", ""], ["asking", "asking", ""], ["agents", "agents", ""],
  ["waiting", "in mailboxes", ""], ["zombies", "zombies", ""], ["threads", "pool threads", ""], ["memory", "memory", "MB"],
];

/** @param {string} tag @param {string} cls @param {string} [text] @returns {any} */
function make(tag, cls, text) {
  const el = document.createElement(tag);
  el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
}

/** @param {string} tag @param {Record<string, any>} facts */
function draw(tag, facts) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(facts)) el.setAttribute(name, String(value));
  return el;
}

/** Hide the static form that stands beside the live one, for readers who have none. @param {HTMLElement} el @param {string} mark */
function hideStatic(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const area = child && child.parentElement;
  if (!area || !mark) return () => {};
  const hide = () => {
    for (const other of area.children) {
      const still = other !== child && other.querySelector("[data-static]");
      if (still && still.getAttribute("data-static") === mark) other.classList.add("pf-hidden-static");
    }
    watcher.disconnect();
    watcher.observe(area, { childList: true });
    for (const other of area.children) if (other !== child) watcher.observe(other, { childList: true, subtree: true });
  };
  const watcher = new MutationObserver(hide);
  hide();
  return () => watcher.disconnect();
}

/** @param {{model: any, el: HTMLElement}} props */
function render({ model, el }) {
  const send = (/** @type {object} */ message) => { try { model.send(message); } catch { /* the kernel went meanwhile */ } };
  const root = make("div", "pf-engine");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Engine panel");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  // Lab looks at the focused element first, so each carries the mark, not the root alone
  root.addEventListener("focusin", (event) => /** @type {Element} */ (event.target).setAttribute("data-lm-suppress-shortcuts", "true"));
  const bar = make("div", "pf-e-bar");
  const state = make("span", "pf-e-state");
  state.setAttribute("role", "status");
  const stop = make("button", "pf-e-stop", "Stop all runs");
  stop.type = "button";
  stop.addEventListener("click", () => send({ do: "stop all" }));
  bar.append(make("span", "pf-e-title", "Engine"), state, stop);
  const facts = make("dl", "pf-e-facts");
  /** @type {Record<string, HTMLElement>} */
  const values = {};
  for (const [name, words] of FACTS) {
    const box = make("div", "pf-e-fact");
    const value = values[name] = make("dd", "pf-e-value");
    box.append(make("dt", "pf-e-name", words), value);
    facts.append(box);
  }
  const curve = draw("svg", { class: "pf-e-curve", viewBox: "0 0 240 36", preserveAspectRatio: "none", role: "img" });
  const line = draw("polyline", { fill: "none", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" });
  curve.append(line);
  const lists = make("div", "pf-e-lists");
  const runs = make("div", "pf-e-list"), agents = make("div", "pf-e-list");
  runs.setAttribute("role", "list");
  runs.setAttribute("aria-label", "Runs that go on");
  agents.setAttribute("role", "list");
  agents.setAttribute("aria-label", "Agents that live");
  lists.append(runs, agents);
  root.append(bar, facts, curve, lists);
  el.append(root);

  /** @param {string} status */
  function dot(status) {
    const word = SIGN_OF[status] || status;
    const svg = draw("svg", { class: "pf-e-dot", viewBox: "0 0 16 16", "data-state": word, "aria-hidden": "true" });
    svg.append(draw("circle", { cx: 8, cy: 8, r: 8, class: "pf-e-disc" }));
    svg.append(draw("path", { d: model.get("signs")[word] || "", transform: "translate(2,2)", class: "pf-e-glyph" }));
    return svg;
  }

  /** @param {any} held @param {string[]} texts */
  function row(held, texts) {
    const item = make("div", "pf-e-row");
    item.setAttribute("role", "listitem");
    item.append(dot(held.status), ...texts.map((text, n) => make("span", `pf-e-cell pf-e-cell-${n}`, text)));
    return item;
  }

  function drawHead() {
    const h = model.get("head");
    for (const [name, , unit] of FACTS) {
      const value = h[name];
      values[name].textContent = value === null || value === undefined ? "–" : unit ? `${value} ${unit}` : String(value);
    }
    values.zombies.dataset.bad = String(h.zombies > 0);
    values.lag.dataset.bad = String(h.lag > 250);
    const words = h.lag === null ? "not started yet" : h.lag > 250 ? "held up by a step that does not await" : h.live ? "running" : "idle";
    if (state.textContent !== words) state.textContent = words;
    stop.disabled = !h.live;
  }

  function drawCurve() {
    const points = model.get("curve");
    const high = Math.max(10, ...points);
    const step = 240 / Math.max(points.length - 1, 1);
    line.setAttribute("points", points.map((/** @type {number} */ p, /** @type {number} */ n) => `${(n * step).toFixed(1)},${(34 - (p / high) * 32).toFixed(1)}`).join(" "));
    curve.setAttribute("aria-label", `Lag of the engine thread, the last ${points.length} samples, at most ${high} ms`);
    curve.toggleAttribute("data-empty", points.length < 2);
  }

  /** @type {Map<number, any>} */
  const known = new Map();
  function drawRuns() {
    const held = model.get("rows");
    const numbers = held.map((/** @type {any} */ r) => r.run);
    for (const number of [...known.keys()]) if (!numbers.includes(number)) { known.get(number).item.remove(); known.delete(number); }
    held.forEach((/** @type {any} */ r) => {
      let one = known.get(r.run);
      if (!one) {
        const item = row(r, [r.name, "", "", ""]);
        const end = make("button", "pf-e-end", "Stop");
        end.type = "button";
        end.setAttribute("aria-label", `Stop ${r.name}`);
        end.addEventListener("click", () => send({ do: "stop", run: r.run }));
        item.append(end);
        runs.append(item);
        known.set(r.run, one = { item, status: r.status });
      }
      if (one.status !== r.status) { one.status = r.status; one.item.firstChild.replaceWith(dot(r.status)); }
      const cells = one.item.querySelectorAll(".pf-e-cell");
      [r.name, r.status, r.node, `${r.steps} steps · ${r.time}`].forEach((text, n) => { if (cells[n].textContent !== text) cells[n].textContent = text; });
    });
    runs.dataset.empty = held.length ? "" : "No run goes on.";
  }

  function drawAgents() {
    const held = model.get("agents");
    agents.replaceChildren(...held.map((/** @type {any} */ a) => row(a, [a.name, a.status, `${a.mailbox} waiting`, `${a.handled} handled`])));
    agents.dataset.empty = held.length ? "" : "No agent lives.";
  }

  drawHead();
  drawCurve();
  drawRuns();
  drawAgents();
  const heard = { head: drawHead, curve: drawCurve, rows: drawRuns, agents: drawAgents };
  for (const [name, fn] of Object.entries(heard)) model.on(`change:${name}`, fn);
  const gone = () => {
    if (model.comm_live !== false) return;
    state.textContent = "the kernel is gone";
    stop.disabled = true;
  };
  model.on("comm_live_update", gone);
  let showAgain = () => {};
  let frames = 0;
  const whenShown = () => {
    if (el.isConnected) showAgain = hideStatic(el, model.get("static"));
    else if (frames++ < 600) requestAnimationFrame(whenShown);
  };
  whenShown();
  return () => {
    for (const [name, fn] of Object.entries(heard)) model.off(`change:${name}`, fn);
    model.off("comm_live_update", gone);
    frames = Infinity;
    showAgain();
  };
}

export default { render };
