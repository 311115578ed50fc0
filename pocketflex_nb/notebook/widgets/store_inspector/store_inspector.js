// @ts-check
// The shared store as a tree. Rows come ready from the kernel; clicks are sent back.

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

let made = 0;

/** @param {{model: any, el: HTMLElement}} props */
function render({ model, el }) {
  const id = `pf-store-${++made}`;
  const root = make("div", "pf-store");
  root.setAttribute("role", "group");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  // Lab looks at the focused element first, so each carries the mark, not the root alone
  root.addEventListener("focusin", (event) => /** @type {Element} */ (event.target).setAttribute("data-lm-suppress-shortcuts", "true"));
  const bar = make("div", "pf-store-bar");
  const title = make("span", "pf-store-title");
  const facts = make("span", "pf-store-facts");
  const find = /** @type {HTMLInputElement} */ (make("input", "pf-store-find"));
  find.type = "search";
  find.placeholder = "Filter keys and values";
  find.setAttribute("aria-label", "Filter keys and values");
  const form = /** @type {HTMLSelectElement} */ (make("select", "pf-store-base pf-store-form"));
  form.setAttribute("aria-label", "View");
  for (const [value, text] of [["tree", "Tree"], ["table", "Table"], ["json", "JSON"]]) {
    const option = /** @type {HTMLOptionElement} */ (make("option", "", text));
    option.value = value;
    form.append(option);
  }
  bar.append(title, facts, find, form);
  const time = make("div", "pf-store-time");
  const back = make("button", "pf-store-button pf-store-step", "‹");
  const forth = make("button", "pf-store-button pf-store-step", "›");
  const slider = /** @type {HTMLInputElement} */ (make("input", "pf-store-slider"));
  const place = make("span", "pf-store-place");
  const now = make("button", "pf-store-button pf-store-now", "Live");
  const seed = make("button", "pf-store-button", "Use as seed");
  const onlyLabel = make("label", "pf-store-only");
  const only = /** @type {HTMLInputElement} */ (make("input", ""));
  const base = /** @type {HTMLSelectElement} */ (make("select", "pf-store-base"));
  back.setAttribute("aria-label", "One step back");
  back.title = "One step back ([)";
  forth.setAttribute("aria-label", "One step forward");
  forth.title = "One step forward (])";
  now.title = "Back to how it is now";
  seed.title = "Put a copy of the store, as shown, into a variable of the notebook";
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", "Time: steps that wrote");
  base.setAttribute("aria-label", "Compare with");
  only.type = "checkbox";
  onlyLabel.append(only, document.createTextNode("only changed"));
  time.append(back, slider, forth, now, place, base, onlyLabel, seed);
  const note = make("div", "pf-store-note");
  note.setAttribute("role", "status");
  const held = make("div", "pf-store-held");
  const heldText = make("span", "");
  const goOn = make("button", "pf-store-button pf-store-now", "Resume");
  goOn.title = "Let the paused runs go on";
  held.append(make("span", "pf-store-sign", "‖"), heldText, goOn);
  heldText.setAttribute("role", "status");
  held.hidden = true;
  const pins = make("section", "pf-store-pins");
  pins.setAttribute("aria-label", "Watched");
  const diff = make("div", "pf-store-diff");
  diff.setAttribute("aria-label", "What differs");
  const tree = make("div", "pf-store-tree");
  tree.setAttribute("role", "tree");
  tree.setAttribute("aria-label", "Keys and values");
  tree.tabIndex = 0;
  const page = make("pre", "pf-store-json");
  page.tabIndex = 0;
  page.setAttribute("aria-label", "The store as JSON");
  const detail = make("div", "pf-store-detail");
  const side = make("div", "pf-store-side");
  side.append(detail, diff);
  const middle = make("div", "pf-store-middle");
  middle.append(tree, page, side);
  root.append(bar, time, held, note, pins, middle);
  el.append(root);

  const send = (/** @type {object} */ message) => model.send(message);
  /** @type {Map<string, [string, number | null]>} */
  const before = new Map();
  let at = 0;

  function drawHead() {
    const head = model.get("head");
    title.textContent = head.title;
    const version = head.version === null || head.version === undefined ? "" : ` · version ${head.version}`;
    facts.textContent = `${head.keys} key${head.keys === 1 ? "" : "s"}${version}`;
    root.setAttribute("aria-label", `Store of ${head.title}`);
    root.dataset.past = String(!head.live);
    const isKept = head.version !== null && head.version !== undefined;
    for (const el of [back, slider, forth, place]) el.hidden = !isKept || !head.of;
    now.hidden = head.live;
    slider.max = String(head.of);
    if (!sliding) slider.value = String(head.at);
    slider.setAttribute("aria-valuetext", `${head.at} of ${head.of}: ${head.place}`);
    back.toggleAttribute("disabled", head.at <= 0);
    forth.toggleAttribute("disabled", head.live);
    place.textContent = `${head.at} of ${head.of}  ${head.place}`;
    place.title = head.place;
    only.checked = head.changed;
    const choices = [...(isKept ? [["before", "the step before"], ["start", "the start"]] : [["before", "nothing"]]), ...head.others.map((/** @type {string} */ n) => [n, n])];
    const told = JSON.stringify(choices);
    if (base.dataset.told !== told) {
      base.dataset.told = told;
      base.replaceChildren(...choices.map(([value, text]) => {
        const option = /** @type {HTMLOptionElement} */ (make("option", "", `compare with ${text}`));
        option.value = value;
        return option;
      }));
    }
    form.value = head.form;
    root.dataset.form = head.form;
    find.hidden = head.form === "json";
    page.hidden = !find.hidden;
    tree.hidden = find.hidden;
    base.value = head.base;
    base.hidden = choices.length < 2;
    note.textContent = head.note;
    note.hidden = !head.note;
    if (heldText.textContent !== head.why) heldText.textContent = head.why || "";
    held.hidden = !head.why;
  }

  function drawText() {
    if (page.textContent !== model.get("text")) page.textContent = model.get("text");
  }

  function drawRows() {
    const rows = model.get("rows");
    at = Math.min(at, Math.max(rows.length - 1, 0));
    const parents = [];
    const lines = rows.map((/** @type {any[]} */ row, /** @type {number} */ k) => {
      const [id, depth, name, kind, text, children, open, version, writer, sign] = row;
      parents.length = depth;
      parents[depth] = name;
      const line = make("div", "pf-store-row");
      line.setAttribute("role", "treeitem");
      line.setAttribute("aria-level", String(depth + 1));
      line.tabIndex = -1;
      if (k === at) line.dataset.at = "true";
      const key = make("div", "pf-store-key");
      key.style.paddingInlineStart = `${depth * 16}px`;
      if (kind === "more") {
        const more = make("button", "pf-store-more", text);
        more.addEventListener("click", () => send({ do: "more", row: id }));
        key.append(more);
        line.append(key);
        return line;
      }
      const twist = make("button", "pf-store-twist", children ? (open ? "▾" : "▸") : "");
      twist.tabIndex = -1;
      twist.setAttribute("aria-hidden", "true");
      if (children) {
        line.setAttribute("aria-expanded", String(open));
        twist.addEventListener("click", (event) => { event.stopPropagation(); send({ do: "toggle", row: id }); });
      } else twist.disabled = true;
      key.append(twist, make("span", "pf-store-name", name));
      if (sign) {
        line.dataset.sign = sign;
        const mark = make("span", "pf-store-sign", sign);
        mark.setAttribute("aria-label", { "+": "new", "~": "changed", "-": "gone" }[sign] || sign);
        key.append(mark);
      }
      line.append(key, make("div", "pf-store-value", text), make("div", "pf-store-type", kind));
      const who = make("div", "pf-store-writer", writer || "");
      who.title = writer || "";   // run, node, host and process may be longer than the column
      line.append(who, make("div", "pf-store-version", version === null ? "" : `v${version}`));
      const place = parents.slice(0, depth + 1).join("\u0000");
      const last = before.get(place);
      if (last && (last[0] !== text || last[1] !== version)) line.classList.add("pf-store-changed");
      before.set(place, [text, version]);
      line.addEventListener("click", () => { at = k; send({ do: "choose", row: id }); });
      return line;
    });
    const head = model.get("head");
    const why = head.filter ? "Nothing fits the filter." : head.changed ? "Nothing differs." : "The store is empty.";
    if (!rows.length) lines.push(make("div", "pf-store-empty", why));
    tree.replaceChildren(...lines);
    mark();
  }

  /** Show which row is told about at the side. */
  function mark() {
    const chosen = model.get("detail").row;
    [...tree.children].forEach((line, k) => { line.id = `${id}-${k}`; line.setAttribute("aria-selected", String(k === chosen)); });
    tree.setAttribute("aria-activedescendant", `${id}-${at}`);
  }

  function drawDetail() {
    const d = model.get("detail");
    mark();
    detail.hidden = !d.path;
    middle.dataset.side = String(!diff.hidden || !detail.hidden);
    if (editing && editing !== d.path) editing = "";
    drawTools(d);
    if (!d.path || (editing && holder.firstChild)) return;
    const head = make("div", "pf-store-path");
    head.append(make("strong", "", d.path), make("span", "pf-store-type", d.gone ? "not there any more" : d.type));
    above.replaceChildren(head);
    below.replaceChildren();
    holder.replaceChildren();
    if (d.gone) return;
    if (d.image) {
      const img = /** @type {HTMLImageElement} */ (make("img", "pf-store-image"));
      img.alt = `Picture at ${d.path}`;
      if (/^data:image\/(png|jpeg|gif);base64,/.test(d.image)) img.src = d.image;
      above.append(img);
    } else if (!editing) above.append(make("pre", "pf-store-text", d.text));
    if (d.words && d.words.length && !editing) {
      const said = make("div", "pf-store-words");
      said.setAttribute("aria-label", "Changed words");
      said.append(...d.words.map((/** @type {string[]} */ [sign, piece]) => make({ "+": "ins", "-": "del" }[sign] || "span", "", piece)));
      above.append(said);
    }
    if (editing) holder.append(editor(d));
    if (d.history.length) {
      const list = make("ol", "pf-store-history");
      list.setAttribute("aria-label", "History, newest first");
      list.append(...d.history.map((/** @type {string[]} */ [version, who, text]) => {
        const item = make("li", "");
        item.append(make("span", "pf-store-version", version), make("span", "pf-store-writer", who), make("span", "pf-store-value", text));
        return item;
      }));
      below.append(list);
    }
  }
  let editing = "", sliding = false;

  // the parts of the pane: the tools stay on the page while what is above and below them is drawn anew, and so keep the focus
  const above = make("div", ""), holder = make("div", ""), toolbar = make("div", "pf-store-tools"), below = make("div", "");
  toolbar.setAttribute("role", "toolbar");
  toolbar.setAttribute("aria-label", "This value");
  const tool = (/** @type {string} */ text, /** @type {string} */ title) => {
    const button = make("button", "pf-store-button", text);
    button.title = title;
    toolbar.append(button);
    return button;
  };
  const copyValue = tool("Copy value", "Copy the value as text"), copyPath = tool("Copy path", "Copy where the value stands");
  const watchIt = tool("Watch", "Keep the value in sight, above the tree"), breakIt = tool("Break when changed", "");
  const editIt = tool("Edit", "Write another value");
  detail.append(above, holder, toolbar, below);
  let saidFor = 0;

  /** Put a text into the clipboard and say so on the button. @param {HTMLElement} button @param {string} text */
  async function copy(button, text) {
    let went = false;
    try {
      await navigator.clipboard.writeText(text);
      went = true;
    } catch {   // no clipboard where the page came by plain http: as pages did before there was one
      const field = /** @type {HTMLTextAreaElement} */ (make("textarea", "pf-store-field"));
      field.value = text;
      root.append(field);
      field.select();
      went = document.execCommand("copy");
      field.remove();
      button.focus();
    }
    const name = button.dataset.name || (button.dataset.name = button.textContent || "");
    button.textContent = went ? "Copied" : "Not copied";
    clearTimeout(saidFor);
    saidFor = window.setTimeout(() => { for (const other of [copyValue, copyPath]) if (other.dataset.name) other.textContent = other.dataset.name; }, 1500);
  }

  /** What can be done with the value. @param {any} d */
  function drawTools(d) {
    toolbar.hidden = !d.path || !!editing;
    if (!d.path) return;
    for (const el of [copyValue, copyPath]) el.hidden = !!d.gone;
    editIt.hidden = d.edit === null || d.edit === undefined;
    watchIt.setAttribute("aria-pressed", String(!!d.watched));
    breakIt.setAttribute("aria-pressed", String(!!d.breaks));
    breakIt.setAttribute("aria-disabled", String(!!d.refusal));   // not `disabled`: the reason can be reached by keyboard
    breakIt.title = d.refusal || (d.breaks ? "Let runs pass again when a node changes this" : "Pause the run before its next node once a node has changed this");
  }
  let isAsked = false;   // the answer goes to all pages that show this inspector; one of them asked
  copyValue.addEventListener("click", () => { isAsked = true; send({ do: "copy" }); });
  copyPath.addEventListener("click", () => copy(copyPath, model.get("detail").path));
  watchIt.addEventListener("click", () => send({ do: "watch" }));
  breakIt.addEventListener("click", () => { if (breakIt.getAttribute("aria-disabled") !== "true") send({ do: "break" }); });
  editIt.addEventListener("click", () => { editing = model.get("detail").path; drawDetail(); });
  goOn.addEventListener("click", () => { send({ do: "resume" }); tree.focus(); });
  const heard = (/** @type {any} */ message) => {
    if (!isAsked || !message || typeof message.copied !== "string") return;
    isAsked = false;
    copy(copyValue, message.copied);
  };
  model.on("msg:custom", heard);

  /** A number's way so far. @param {string} path @param {number[]} points */
  function curve(path, points) {
    const low = Math.min(...points), high = Math.max(...points), space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg"), line = document.createElementNS(space, "polyline");
    const label = `${path}: from ${points[0]} to ${points[points.length - 1]}, between ${low} and ${high}`;
    const has = { viewBox: "0 0 72 14", width: "72", height: "14", role: "img", "aria-label": label, class: "pf-store-curve" };
    for (const [key, v] of Object.entries(has)) svg.setAttribute(key, v);
    const x = (/** @type {number} */ k) => (2 + (k / (points.length - 1)) * 68).toFixed(1);
    const y = (/** @type {number} */ n) => (12 - ((n - low) / (high - low || 1)) * 10).toFixed(1);
    line.setAttribute("points", points.map((n, k) => `${x(k)},${y(n)}`).join(" "));
    svg.append(line);
    return svg;
  }

  /** The values that stay in sight. */
  function drawPins() {
    const lines = model.get("watched");
    pins.hidden = !lines.length;
    const focused = document.activeElement && pins.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.key : null;
    pins.replaceChildren(make("div", "pf-store-over", "Watched"), ...lines.map((/** @type {any[]} */ [path, text, who, version, gone, points]) => {
      const line = make("div", "pf-store-pin");
      line.dataset.gone = String(gone);
      const name = make("button", "pf-store-name pf-store-link", path), end = make("button", "pf-store-button pf-store-end", "×");
      name.title = "Look into it";
      name.dataset.key = `look ${path}`;
      end.setAttribute("aria-label", `Watch ${path} no more`);
      end.dataset.key = `end ${path}`;
      name.addEventListener("click", () => send({ do: "look", path }));
      end.addEventListener("click", () => send({ do: "unwatch", path }));
      const value = make("div", "pf-store-value", text), writer = make("div", "pf-store-writer", who);
      value.title = text;
      writer.title = who;
      const last = seen.get(path);
      if (last !== undefined && last !== text) line.classList.add("pf-store-changed");
      seen.set(path, text);
      if (points.length > 1) value.append(curve(path, points));
      line.append(name, value, writer, make("div", "pf-store-version", version === null ? "" : `v${version}`), end);
      return line;
    }));
    if (focused) [.../** @type {NodeListOf<HTMLElement>} */ (pins.querySelectorAll("button"))].find((el) => el.dataset.key === focused)?.focus();
  }
  /** @type {Map<string, string>} what the watched values were when they were last drawn */
  const seen = new Map();

  /** A field for the value. @param {any} d */
  function editor(d) {
    const form = make("form", "pf-store-editor");
    const text = /** @type {HTMLTextAreaElement} */ (make("textarea", "pf-store-field"));
    text.value = d.edit ?? "";
    text.rows = Math.min(Math.max((d.edit || "").split("\n").length, 2), 8);
    text.setAttribute("aria-label", `Value of ${d.path}`);
    const save = /** @type {HTMLButtonElement} */ (make("button", "pf-store-button pf-store-now", "Write"));
    save.type = "submit";
    const leave = /** @type {HTMLButtonElement} */ (make("button", "pf-store-button", "Cancel"));
    leave.type = "button";
    const close = () => { editing = ""; drawDetail(); };
    leave.addEventListener("click", close);
    form.addEventListener("submit", (event) => { event.preventDefault(); send({ do: "edit", text: text.value }); close(); });
    form.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); event.stopPropagation(); });
    const tools = make("div", "pf-store-tools");
    tools.append(save, leave);
    form.append(text, tools);
    setTimeout(() => text.focus(), 0);
    return form;
  }

  function drawDiff() {
    const lines = model.get("diff");
    diff.hidden = !lines.length;
    const head = model.get("head");
    const over = make("div", "pf-store-over", { before: "Changed in this step", start: "Changed since the start" }[head.base] || `Against ${head.base}`);
    diff.replaceChildren(over, ...lines.map((/** @type {string[]} */ [sign, where, text]) => {
      const line = make("div", "pf-store-change");
      line.dataset.sign = sign;
      line.append(make("span", "pf-store-sign", sign), make("span", "pf-store-name", where), make("span", "pf-store-value", text));
      return line;
    }));
    middle.dataset.side = String(!diff.hidden || !detail.hidden);
  }

  let sent = 0;
  /** @type {object | null} */
  let waiting = null;
  /** At most twelve times a second, the last one always. @param {object} message */
  function seek(message) {
    waiting = message;
    if (sent) return;
    const go = () => { sent = 0; if (waiting) { send(waiting); waiting = null; sent = window.setTimeout(go, 80); } };
    go();
  }
  const step = (/** @type {number} */ by) => send({ do: "step", by });   // relative: quick clicks add up
  slider.addEventListener("input", () => { sliding = true; seek({ do: "place", at: Number(slider.value) }); });
  slider.addEventListener("change", () => { sliding = false; });
  back.addEventListener("click", () => step(-1));
  forth.addEventListener("click", () => step(1));
  now.addEventListener("click", () => send({ do: "live" }));
  seed.addEventListener("click", () => send({ do: "seed" }));
  form.addEventListener("change", () => send({ do: "form", name: form.value }));
  only.addEventListener("change", () => send({ do: "changed", on: only.checked }));
  base.addEventListener("change", () => send({ do: "base", name: base.value }));

  tree.addEventListener("keydown", (event) => {
    const rows = model.get("rows");
    const row = rows[at];
    if (!row) return;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      at = Math.max(0, Math.min(rows.length - 1, at + moves[event.key]));
      [...tree.children].forEach((line, k) => { if (k === at) { line.dataset.at = "true"; line.scrollIntoView({ block: "nearest" }); } else delete line.dataset.at; });
      tree.setAttribute("aria-activedescendant", `${id}-${at}`);
    } else if (event.key === "ArrowRight" && row[5] && !row[6]) send({ do: "toggle", row: row[0] });
    else if (event.key === "ArrowLeft" && row[6]) send({ do: "toggle", row: row[0] });
    else if (event.key === "Enter" || event.key === " ") send({ do: row[3] === "more" ? "more" : "choose", row: row[0] });
    else if (event.key === "/") find.focus();
    else if (event.key === "[") step(-1);
    else if (event.key === "]") step(1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  let typing = 0;
  find.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => send({ do: "filter", text: find.value }), 150);
  });

  const handlers = { "change:head": drawHead, "change:rows": drawRows, "change:text": drawText, "change:detail": drawDetail, "change:diff": drawDiff, "change:watched": drawPins };
  for (const [event, draw] of Object.entries(handlers)) model.on(event, draw);
  let unhide = () => {};
  const later = setTimeout(() => { unhide = hideStatic(el, model.get("static")); }, 0);
  drawHead();
  drawRows();
  drawText();
  drawDetail();
  drawDiff();
  drawPins();
  return () => {
    clearTimeout(saidFor);
    model.off("msg:custom", heard);
    clearTimeout(sent);
    clearTimeout(typing);
    clearTimeout(later);
    unhide();
    for (const [event, draw] of Object.entries(handlers)) model.off(event, draw);
  };
}

export default { initialize, render };
