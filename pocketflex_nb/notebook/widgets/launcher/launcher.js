// @ts-check
// The form that starts flows. The kernel keeps what is filled in; the page draws it, and says what was typed or pressed.

const WORDS = {
  pending: "pending", running: "running", paused: "paused", asking: "asking", done: "done", failed: "failed", cancelled: "cancelled",
};
const SIGN_OF = { pending: "idle", paused: "waiting" };
const LIMITS = { steps: ["steps", "200", "stop cleanly after so many steps"], time: ["time", "60s", "for each whole run: 20ms, 60s, 5m, 2h"],
  tokens: ["tokens", "50k", "stop cleanly when they are spent"], cost: ["cost", "1.5", "stop cleanly when it is spent"] };
const SVG = "http://www.w3.org/2000/svg";
let forms = 0;

/** @param {string} tag @param {string} cls @param {string} [text] @returns {any} */
function make(tag, cls, text) {
  const el = document.createElement(tag);
  el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
}

/** @param {string} text @param {string} cls @param {() => void} press */
function button(text, cls, press) {
  const el = make("button", `pf-l-button ${cls}`, text);
  el.type = "button";
  el.addEventListener("click", press);
  return el;
}

/** Write a field anew, unless a person is in it. @param {any} el @param {string} text */
function put(el, text) {
  if (el.getRootNode().activeElement !== el && el.value !== text) el.value = text;
}

/** @param {string} glyph @param {string} status */
function sign(glyph, status) {
  const el = document.createElementNS(SVG, "svg");
  const facts = { viewBox: "0 0 16 16", class: "pf-l-dot", "data-state": SIGN_OF[status] || status, "aria-hidden": "true" };
  for (const [k, v] of Object.entries(facts)) el.setAttribute(k, v);
  const disc = document.createElementNS(SVG, "circle");
  for (const [k, v] of Object.entries({ cx: 8, cy: 8, r: 8, class: "pf-l-disc" })) disc.setAttribute(k, String(v));
  const path = document.createElementNS(SVG, "path");
  for (const [k, v] of Object.entries({ d: glyph || "", transform: "translate(2,2)", class: "pf-l-glyph" })) path.setAttribute(k, v);
  el.append(disc, path);
  return el;
}

/** Show dots in the field of a secret, but for the name of what holds it. @param {any} input @param {boolean} isSecret */
function veil(input, isSecret) {
  input.type = isSecret ? "password" : "text";
  input.autocomplete = "off";
  if (isSecret) input.addEventListener("input", () => { input.type = /^@?$|^@/.test(input.value) ? "text" : "password"; });
}

/** One choice of a few, as a row of radio buttons: arrow keys go from one to the next.
 *  @param {string} label @param {Record<string, string>} choices @param {(value: string) => void} chosen */
function choice(label, choices, chosen) {
  const el = make("div", "pf-l-choice");
  el.setAttribute("role", "radiogroup");
  el.setAttribute("aria-label", label);
  const name = `pf-l-${++forms}`;
  /** @type {Record<string, HTMLInputElement>} */
  const radios = {};
  const go = (/** @type {KeyboardEvent} */ event, /** @type {string} */ value) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault(); // front ends keep the arrows from the browser, so they are walked here
    const values = Object.keys(choices);
    const next = values[(values.indexOf(value) + by + values.length) % values.length];
    radios[next].checked = true;
    radios[next].focus();
    chosen(next);
  };
  for (const [value, text] of Object.entries(choices)) {
    const box = make("label", "pf-l-option");
    const radio = radios[value] = make("input", "pf-l-radio");
    Object.assign(radio, { type: "radio", name, value });
    radio.addEventListener("change", () => chosen(value));
    radio.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => go(event, value));
    box.append(radio, make("span", "", text));
    el.append(box);
  }
  return { el, set: (/** @type {string} */ value) => { if (radios[value]) radios[value].checked = true; } };
}

/** A number with a step to both sides. @param {string} label @param {(value: number) => void} chosen @param {string} [empty] */
function stepper(label, chosen, empty) {
  const el = make("div", "pf-l-stepper");
  const field = make("input", "pf-l-input pf-l-number");
  Object.assign(field, { type: "text", inputMode: "numeric", placeholder: empty || "" });
  field.setAttribute("aria-label", label);
  field.setAttribute("role", "spinbutton");
  const least = empty ? 0 : 1;
  const go = (/** @type {number} */ value) => {
    const whole = Math.max(least, Math.min(10000, Math.round(value) || least));
    field.value = whole || !empty ? String(whole) : "";
    field.setAttribute("aria-valuenow", String(whole));
    chosen(whole);
  };
  const now = () => Number(field.value) || 0;
  const less = button("−", "pf-l-tick", () => go(now() - 1)), more = button("+", "pf-l-tick", () => go(now() + 1));
  less.setAttribute("aria-label", `${label}: one less`);
  more.setAttribute("aria-label", `${label}: one more`);
  less.tabIndex = more.tabIndex = -1;
  field.addEventListener("input", () => { if (Number(field.value) >= 1) chosen(Math.round(Number(field.value))); });
  field.addEventListener("change", () => go(now()));
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (by) { event.preventDefault(); go(now() + by); }
  });
  el.append(less, field, more);
  return { el, field, less, more, set: (/** @type {number} */ value) => {
    put(field, value || !empty ? String(value) : "");
    field.setAttribute("aria-valuenow", String(value));
  } };
}

/** Hide the static form that stands beside the live one, for readers who have none. @param {HTMLElement} el @param {string} mark */
function hideStatic(el, mark) {
  const child = el.closest(".jp-OutputArea-child");
  const area = child && child.parentElement;
  if (!area || !mark) return () => {};
  const isOurs = (/** @type {Element} */ other) => {
    const still = other.querySelector("[data-static]");
    return !!still && still.getAttribute("data-static") === mark;
  };
  const hide = () => {
    for (const other of area.children) if (other !== child && isOurs(other)) other.classList.add("pf-hidden-static");
    watcher.disconnect();   // never the whole area: this form changes often, and each change would be looked at
    watcher.observe(area, { childList: true });
    for (const other of area.children) if (other !== child) watcher.observe(other, { childList: true, subtree: true });
  };
  const watcher = new MutationObserver(hide);
  hide();
  return () => watcher.disconnect();
}

/** @param {{model: any, el: HTMLElement}} props */
function render({ model, el }) {
  const id = `pf-l-form-${++forms}`;
  const send = (/** @type {object} */ message) => {
    try { model.send(message); } catch { /* the kernel went meanwhile: leaving a field says so too */ }
  };
  const set = (/** @type {string} */ name, /** @type {any} */ value) => send({ do: "set", name, value });
  const form = () => model.get("form");
  let gone = false;

  const root = make("form", "pf-launcher");
  root.noValidate = true;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Launcher");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  // Lab looks at the focused element first, so each carries the mark, not the root alone
  root.addEventListener("focusin", (event) => /** @type {Element} */ (event.target).setAttribute("data-lm-suppress-shortcuts", "true"));
  root.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());

  // flow
  const bar = make("div", "pf-l-bar");
  const flow = make("select", "pf-l-select pf-l-flow");
  flow.setAttribute("aria-label", "Flow");
  flow.addEventListener("change", () => set("flow", flow.value));
  const found = make("span", "pf-l-soft");
  const changed = make("span", "pf-l-changed");
  const count = make("span", "pf-l-count");
  const progress = make("div", "pf-l-progress");
  progress.setAttribute("role", "progressbar");
  progress.setAttribute("aria-label", "Runs that are over");
  progress.append(make("div", "pf-l-done"));
  const stop = button("Stop all", "pf-l-stop", () => send({ do: "stop" }));
  stop.title = "End every run that this form has started";
  bar.append(make("span", "pf-l-title", "Launch"), flow, found, changed, count, progress, stop);

  /** @param {string} text @param {...Node} parts */
  const line = (text, ...parts) => {
    const row = make("div", "pf-l-row");
    const body = make("div", "pf-l-body");
    body.append(...parts);
    row.append(make("div", "pf-l-label", text), body);
    return row;
  };
  /** @param {string} text @param {Node} part */
  const named = (text, part) => {
    const box = make("label", "pf-l-named");
    box.append(make("span", "pf-l-soft", text), part);
    return box;
  };

  // agents
  const agents = stepper("Agents", value => set("agents", value));
  const atOnce = stepper("Agents at once", value => set("at_once", value), "all");
  const name = make("input", "pf-l-input pf-l-name");
  name.placeholder = "the flow's";
  name.setAttribute("aria-label", "Name of the runs");
  name.addEventListener("input", () => set("name", name.value));
  const fixed = make("span", "pf-l-fixed");
  const who = make("div", "pf-l-group");
  who.append(agents.el, fixed);
  const both = make("div", "pf-l-group");
  both.append(make("span", "pf-l-soft", "at once"), atOnce.el);
  const agentsRow = line("Agents", who, both, named("name", name));

  // inputs
  const mode = choice("Inputs", { same: "Same for all", rows: "One row per agent", variable: "From a variable" }, value => set("mode", value));
  const variable = make("select", "pf-l-select");
  variable.setAttribute("aria-label", "Variable whose items are the inputs");
  variable.addEventListener("change", () => set("variable", variable.value));
  const key = make("select", "pf-l-select");
  key.setAttribute("aria-label", "Key that an item is for");
  key.addEventListener("change", () => set("key", key.value));
  const items = make("span", "pf-l-items");
  const from = make("div", "pf-l-group pf-l-from");
  from.append(variable, make("span", "pf-l-soft", "as"), key, items);
  const fields = make("div", "pf-l-fields");
  const table = make("div", "pf-l-table");
  table.setAttribute("role", "table");
  table.setAttribute("aria-label", "Inputs, a row for each agent");
  const addRow = button("Add a row", "pf-l-quiet", () => { send({ do: "add row" }); fresh = true; });
  const newKey = make("input", "pf-l-input pf-l-newkey");
  newKey.placeholder = "another key";
  newKey.setAttribute("aria-label", "Another key of the store");
  const addKey = button("Add", "pf-l-quiet", () => {
    const text = newKey.value.trim();
    if (!text) { newKey.focus(); return; }
    send({ do: "value", key: text, text: "" });
    wanted = text;
    newKey.value = "";
  });
  addKey.setAttribute("aria-label", "Add the key");
  newKey.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.ctrlKey) { event.preventDefault(); addKey.click(); }
  });
  const more = make("div", "pf-l-group pf-l-more");
  const hint = make("span", "pf-l-soft pf-l-hint", "a value, plain text, or @name from the notebook");
  more.append(addRow, newKey, addKey, hint);
  const inputsBody = make("div", "pf-l-stack");
  inputsBody.append(mode.el, from, fields, table, more);
  let fresh = false;
  let wanted = "";

  // limits
  /** @type {Record<string, HTMLInputElement>} */
  const limits = {};
  const limitBoxes = Object.entries(LIMITS).map(([what, [text, example, title]]) => {
    const field = limits[what] = make("input", "pf-l-input pf-l-limit");
    field.placeholder = example;
    field.title = title;
    field.setAttribute("aria-label", `Limit: ${text}`);
    field.addEventListener("input", () => set("limits", { [what]: field.value }));
    return named(text, field);
  });
  const onError = choice("When one fails", { others: "others go on", stop: "stop all", pause: "pause all" }, value => set("on_error", value));
  const failBox = make("div", "pf-l-group");
  failBox.append(make("span", "pf-l-soft", "when one fails"), onError.el);

  // watch and break
  const watch = make("div", "pf-l-group");
  const breaks = make("div", "pf-l-group pf-l-breaks");
  breaks.setAttribute("role", "group");
  breaks.setAttribute("aria-label", "Pause before these nodes");
  const breakRow = line("Break before", breaks);

  // doing
  const begin = button("Start", "pf-l-primary", () => send({ do: "start" }));
  begin.title = "Start (Ctrl+Enter)";
  const check = button("Dry check", "", () => send({ do: "check" }));
  check.title = "Look at the flow and the inputs, run nothing";
  const code = make("input", "pf-l-code");
  code.readOnly = true;
  code.setAttribute("aria-label", "The line that does the same");
  code.addEventListener("focus", () => code.select());
  const copy = button("Copy", "", () => copyLine());
  copy.setAttribute("aria-label", "Copy the line");
  const doing = make("div", "pf-l-doing");
  doing.append(begin, check, code, copy);
  const said = make("div", "pf-l-said");
  said.setAttribute("role", "status");
  said.setAttribute("aria-live", "polite");
  const runs = make("div", "pf-l-runs");
  runs.setAttribute("role", "list");
  runs.setAttribute("aria-label", "Runs");
  const watchRow = line("Watch", watch);
  const parts = make("div", "pf-l-parts");
  parts.append(agentsRow, line("Inputs", inputsBody), line("Limits", ...limitBoxes, failBox), watchRow, breakRow);
  root.append(bar, parts, doing, said, runs);
  el.append(root);

  root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!begin.disabled) begin.click();
    } else if (event.key === "Enter" && /** @type {HTMLElement} */ (event.target).tagName === "INPUT") {
      event.preventDefault(); // a form with one button would press it
    }
  });

  async function copyLine() {
    const text = form().line;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      code.focus();
      code.select();
      document.execCommand("copy"); // pages without a secure origin have no clipboard of their own
    }
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  }

  /** @param {any} select @param {[string, string][]} options @param {string} chosen */
  function menu(select, options, chosen) {
    const now = JSON.stringify(options);
    if (select.dataset.held !== now) {
      select.dataset.held = now;
      select.replaceChildren(...options.map(([value, text]) => Object.assign(make("option", "", text), { value })));
    }
    if (select.value !== chosen) select.value = chosen;
  }

  // fields of one kind for all runs: made once for each key, then only written
  /** @type {Map<string, any>} */
  const boxes = new Map();
  function drawFields() {
    const f = form();
    const held = f.fields.filter((/** @type {any} */ x) => !(f.mode === "variable" && x.key === f.key));
    const shape = held.map((/** @type {any} */ x) => x.key).join("\n");
    fields.hidden = f.mode === "rows";
    if (fields.dataset.shape !== shape) {
      fields.dataset.shape = shape;
      boxes.clear();
      fields.replaceChildren(...held.map(fieldBox));
    }
    for (const x of held) {
      const box = boxes.get(x.key);
      if (!x.secret || x.text) put(box.input, x.text);
      if (x.secret && x.text) box.input.type = "text";
      box.kind.textContent = x.problem ? "" : x.text ? x.kind : x.needed ? "needed" : "";
      box.kind.dataset.kind = !x.text && x.needed ? "needed" : "";
      box.problem.textContent = x.problem;
      box.input.setAttribute("aria-invalid", String(!!x.problem));
    }
    if (wanted && boxes.has(wanted)) { boxes.get(wanted).input.focus(); wanted = ""; }
  }

  /** @param {any} x */
  function fieldBox(x) {
    const box = make("div", "pf-l-field");
    const input = make("input", "pf-l-input");
    const problem = make("div", "pf-l-problem");
    problem.id = `${id}-${boxes.size}`;
    veil(input, x.secret);
    input.placeholder = x.secret ? "@NAME" : x.default || (x.needed ? "" : "left out");
    input.setAttribute("aria-label", x.key + (x.needed ? ", needed" : ""));
    input.setAttribute("aria-describedby", problem.id);
    input.spellcheck = false;
    input.addEventListener("input", () => send({ do: "value", key: x.key, text: input.value }));
    if (x.node) input.title = `read by ${x.node}`;
    const top = make("div", "pf-l-top");
    const kind = make("span", "pf-l-kind");
    top.append(make("span", "pf-l-key", x.key), kind);
    if (x.own) {
      const away = button("×", "pf-l-away", () => send({ do: "drop key", key: x.key }));
      away.setAttribute("aria-label", `Leave out ${x.key}`);
      top.append(away);
    }
    box.append(top, input, problem);
    boxes.set(x.key, { input, kind, problem });
    return box;
  }

  // the table: made anew when rows or columns come or go
  /** @type {any[][]} */
  let grid = [];
  function drawTable() {
    const f = form();
    table.hidden = addRow.hidden = f.mode !== "rows";
    if (table.hidden) return;
    const keys = f.fields.map((/** @type {any} */ x) => x.key);
    const shape = `${f.rows.length}\n${keys.join("\n")}`;
    if (table.dataset.shape !== shape) {
      table.dataset.shape = shape;
      table.style.setProperty("--columns", String(Math.max(keys.length, 1)));
      const at = place();
      const head = make("div", "pf-l-tr pf-l-th");
      head.setAttribute("role", "row");
      head.append(cellOf("columnheader", "agent"), ...f.fields.map((/** @type {any} */ x) => cellOf("columnheader", x.key)), cellOf("columnheader", ""));
      grid = [];
      table.replaceChildren(head, ...f.rows.map((/** @type {any} */ _, /** @type {number} */ n) => tableRow(n, f.fields)));
      const goal = fresh ? [f.rows.length - 1, 0] : at;
      if (goal && grid[goal[0]] && grid[goal[0]][goal[1]]) grid[goal[0]][goal[1]].focus();
      fresh = false;
    }
    f.rows.forEach((/** @type {any[]} */ row, /** @type {number} */ n) => row.forEach(([text, kind, problem], m) => {
      const input = grid[n][m];
      put(input, text);
      input.placeholder = f.fields[m].text || f.fields[m].default;
      input.title = problem || kind;
      input.setAttribute("aria-invalid", String(!!problem));
    }));
  }

  /** @param {string} role @param {string} text */
  function cellOf(role, text) {
    const cell = make("div", "pf-l-td", text);
    cell.setAttribute("role", role);
    return cell;
  }

  /** Row and column of the cell that has the focus. */
  function place() {
    const focus = /** @type {Document} */ (root.getRootNode()).activeElement;
    for (const [n, row] of grid.entries()) if (row.includes(focus)) return [n, row.indexOf(focus)];
    return null;
  }

  /** @param {number} n @param {any[]} columns */
  function tableRow(n, columns) {
    const row = make("div", "pf-l-tr");
    row.setAttribute("role", "row");
    row.append(cellOf("rowheader", String(n)));
    grid.push(columns.map((x, m) => {
      const input = make("input", "pf-l-input");
      veil(input, x.secret);
      input.spellcheck = false;
      input.setAttribute("aria-label", `${x.key} of agent ${n}`);
      input.addEventListener("input", () => send({ do: "cells", row: n, keys: [x.key], cells: [[input.value]] }));
      input.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => pasted(event, n, m));
      input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => walked(event, n, m));
      const cell = cellOf("cell", "");
      cell.append(input);
      row.append(cell);
      return input;
    }));
    const away = button("×", "pf-l-away", () => send({ do: "drop row", row: n }));
    away.setAttribute("aria-label", `Take out agent ${n}`);
    const last = cellOf("cell", "");
    last.append(away);
    row.append(last);
    return row;
  }

  /** Lines and tabs of a spreadsheet go into rows and columns. @param {ClipboardEvent} event @param {number} n @param {number} m */
  function pasted(event, n, m) {
    const text = event.clipboardData ? event.clipboardData.getData("text/plain").replace(/\r?\n$/, "") : "";
    if (!/[\n\t]/.test(text)) return;
    event.preventDefault();
    const keys = form().fields.slice(m).map((/** @type {any} */ x) => x.key);
    const cells = text.split(/\r?\n/).map(row => row.split("\t").slice(0, keys.length));
    /** @type {HTMLElement} */ (event.target).blur();
    send({ do: "cells", row: n, keys, cells });
  }

  /** Enter and the arrows go up and down a column; Enter in the last row adds one. @param {KeyboardEvent} event @param {number} n @param {number} m */
  function walked(event, n, m) {
    if (event.ctrlKey || event.metaKey) return;
    const down = event.key === "ArrowDown" || event.key === "Enter";
    if (!down && event.key !== "ArrowUp") return;
    event.preventDefault();
    const next = grid[n + (down ? 1 : -1)];
    if (next) next[m].focus();
    else if (event.key === "Enter") addRow.click();
  }

  // one field for each watched expression, and an empty one to begin the next with
  function drawWatch() {
    const texts = form().watch;
    while (watch.children.length < texts.length + 1) {
      const n = watch.children.length;
      const field = make("input", "pf-l-input pf-l-watch");
      field.placeholder = n ? "and" : 'len(store["notes"])';
      field.setAttribute("aria-label", `Expression of the store to watch, ${n + 1}`);
      field.spellcheck = false;
      field.addEventListener("input", () => {
        const all = [...watch.children].map(x => /** @type {HTMLInputElement} */ (x).value);
        while (all.length && !all[all.length - 1].trim()) all.pop();
        set("watch", all);
      });
      watch.append(field);
    }
    [...watch.children].forEach((field, n) => {
      put(field, texts[n] || "");
      const problem = form().problems[`watch ${n}`] || "";
      field.setAttribute("aria-invalid", String(!!problem));
      field.setAttribute("title", problem || "shown live; a number as a curve");
      /** @type {HTMLElement} */ (field).hidden = n > texts.length;
    });
  }

  function drawBreaks() {
    const { nodes, breaks: held } = form();
    breakRow.hidden = !nodes.length;
    const shape = nodes.join("\n");
    if (breaks.dataset.shape !== shape) {
      breaks.dataset.shape = shape;
      breaks.replaceChildren(...nodes.map((/** @type {string} */ node) => {
        const chip = button(node, "pf-l-chip", () => {
          const now = form().breaks;
          set("breaks", now.includes(node) ? now.filter((/** @type {string} */ x) => x !== node) : [...now, node]);
        });
        return chip;
      }));
    }
    [...breaks.children].forEach((chip, n) => chip.setAttribute("aria-pressed", String(held.includes(nodes[n]))));
  }

  function drawForm() {
    const f = form();
    menu(flow, f.flows.map((/** @type {[string, number]} */ [text, n]) => [text, `${text}  (${n} node${n === 1 ? "" : "s"})`]), f.flow);
    flow.hidden = !f.flows.length;
    found.textContent = f.flows.length ? `${f.found} flow${f.found === 1 ? "" : "s"} in this notebook` : "No flow in this notebook yet: bind one to a name.";
    changed.textContent = f.changed.length ? `changed since last run: ${f.changed.join(", ")}` : "";
    parts.hidden = !f.flows.length;
    agents.set(f.agents);
    agents.el.hidden = f.mode !== "same";
    fixed.hidden = f.mode === "same";
    fixed.textContent = `${f.runs} ${f.mode === "rows" ? "of the rows below" : "of the variable's items"}`;
    atOnce.set(f.at_once);
    atOnce.field.title = `at most ${f.most} unless said otherwise`;
    put(name, f.name);
    name.setAttribute("aria-invalid", String(!!f.problems.name));
    name.title = f.problems.name || "";
    mode.set(f.mode);
    from.hidden = f.mode !== "variable";
    menu(variable, [["", f.variables.length ? "choose a variable" : "no list in this notebook"], ...f.variables.map((/** @type {[string, string]} */ [text, kind]) => [text, `${text}  (${kind})`])], f.variable);
    menu(key, [...f.fields.map((/** @type {any} */ x) => [x.key, x.key]), ["", "keys of each item"]], f.key);
    items.textContent = f.items;
    drawFields();
    drawTable();
    newKey.hidden = addKey.hidden = false;
    for (const [what, field] of Object.entries(limits)) {
      const problem = f.problems[`limit ${what}`] || "";
      put(field, f.limits[what]);
      field.setAttribute("aria-invalid", String(!!problem));
      field.title = problem || LIMITS[what][2];
    }
    onError.set(f.on_error);
    failBox.hidden = f.runs < 2;
    drawWatch();
    drawBreaks();
    const problem = f.problems.line || Object.values(f.problems)[0] || "";
    code.value = f.line || String(problem);
    code.title = code.value;
    code.dataset.wrong = String(!f.line && !!problem);
    copy.disabled = !f.line;
    begin.textContent = f.runs > 1 ? `Start ${f.runs}` : "Start";
    begin.disabled = gone || !f.line || !f.runs;
    check.disabled = gone || !f.flow;
    doing.hidden = !f.flows.length;
  }

  function drawSaid() {
    said.replaceChildren(...model.get("said").map((/** @type {[string, string]} */ [level, text]) => {
      const row = make("div", "pf-l-say", text);
      row.dataset.level = level;
      return row;
    }));
  }

  function drawStrip() {
    const s = model.get("strip");
    const parts = Object.entries(s.counts || {}).map(([status, n]) => `${n} ${WORDS[status] || status}`);
    count.textContent = parts.join(" · ");
    progress.hidden = !s.runs;
    progress.setAttribute("aria-valuemin", "0");
    progress.setAttribute("aria-valuemax", String(s.runs || 0));
    progress.setAttribute("aria-valuenow", String(s.over || 0));
    progress.setAttribute("aria-valuetext", `${s.over || 0} of ${s.runs || 0} over`);
    /** @type {HTMLElement} */ (progress.firstChild).style.width = `${s.runs ? (100 * s.over) / s.runs : 0}%`;
    stop.hidden = gone || !s.runs || s.over === s.runs;
    runs.dataset.more = s.runs > s.shown ? `${s.runs - s.shown} more: %pf runs --all` : "";
  }

  /** @type {Map<number, any>} */
  const lines = new Map();
  function drawRuns() {
    const held = model.get("rows");
    const shape = held.map((/** @type {any} */ r) => r.run).join(" ");
    if (runs.dataset.shape !== shape) {
      runs.dataset.shape = shape;
      const kept = new Set(held.map((/** @type {any} */ r) => r.run));
      for (const run of [...lines.keys()]) if (!kept.has(run)) lines.delete(run);
      for (const r of held) if (!lines.has(r.run)) lines.set(r.run, runLine(r));
      const focus = /** @type {any} */ (/** @type {Document} */ (root.getRootNode()).activeElement);
      runs.replaceChildren(...held.map((/** @type {any} */ r) => lines.get(r.run).el));
      if (focus && runs.contains(focus)) focus.focus();
    }
    for (const r of held) lines.get(r.run).write(r);
  }

  /** @param {any} r */
  function runLine(r) {
    const line = make("div", "pf-l-run");
    line.setAttribute("role", "listitem");
    const dot = make("span", "pf-l-sign");
    const title = make("span", "pf-l-run-name", r.name);
    const status = make("span", "pf-l-run-status");
    const node = make("span", "pf-l-run-node");
    const facts = make("span", "pf-l-run-facts");
    const tools = make("span", "pf-l-run-tools");
    const act = (/** @type {string} */ text, /** @type {string} */ what) => {
      const made = button(text, "pf-l-quiet", () => send({ do: "run", run: r.run, what: made.dataset.what || what }));
      made.setAttribute("aria-label", `${text} ${r.name}`);
      return made;
    };
    const [view, store, pause, end, again] = [act("View", "view"), act("Store", "store"), act("Pause", "pause"), act("Stop", "stop"), act("Again", "again")];
    view.title = "Show this run below";
    store.title = "Show this run's store below";
    again.title = "Start it once more, on what its store held when it began";
    tools.append(view, store, pause, end, again);
    line.append(dot, title, status, node, facts, tools);
    const write = (/** @type {any} */ now) => {
      if (line.dataset.status !== now.status) {
        line.dataset.status = now.status;
        line.dataset.state = SIGN_OF[now.status] || now.status;
        dot.replaceChildren(sign(model.get("signs")[SIGN_OF[now.status] || now.status], now.status));
        status.textContent = WORDS[now.status] || now.status;
        const over = ["done", "failed", "cancelled"].includes(now.status);
        pause.hidden = end.hidden = over || gone;
        again.hidden = !over || gone;
        pause.textContent = now.status === "paused" ? "Resume" : "Pause";
        pause.dataset.what = now.status === "paused" ? "resume" : "pause";
        pause.setAttribute("aria-label", `${pause.textContent} ${r.name}`);
      }
      node.textContent = now.note || now.node;
      node.title = now.note;
      const told = [`${now.steps} step${now.steps === 1 ? "" : "s"}`, now.time];
      if (now.tokens) told.push(`${now.tokens} tok`);
      if (now.part !== null && now.part !== undefined) told.unshift(`${Math.round(now.part * 100)} %`);
      facts.textContent = told.join(" · ");
    };
    return { el: line, write };
  }

  function drawGone() {
    gone = model.comm_live === false;
    root.dataset.gone = String(gone);
    drawForm();
    drawStrip();
    if (gone) { found.textContent = "The kernel is gone: run the cell again."; lines.clear(); runs.dataset.shape = ""; drawRuns(); }
  }

  drawForm();
  drawSaid();
  drawStrip();
  drawRuns();
  model.on("change:form", drawForm);
  model.on("change:said", drawSaid);
  model.on("change:strip", drawStrip);
  model.on("change:rows", drawRuns);
  model.on("comm_live_update", drawGone);
  let showAgain = () => {};
  let frames = 0;
  const whenShown = () => {  // a form is made before it is put into its output
    if (el.isConnected) showAgain = hideStatic(el, model.get("static"));
    else if (frames++ < 600) requestAnimationFrame(whenShown);
  };
  whenShown();
  return () => {
    for (const [what, fn] of [["form", drawForm], ["said", drawSaid], ["strip", drawStrip], ["rows", drawRuns]]) model.off(`change:${what}`, fn);
    model.off("comm_live_update", drawGone);
    frames = Infinity;
    showAgain();
  };
}

export default { render };
