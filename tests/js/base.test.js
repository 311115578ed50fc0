import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { applied, initialize } from "../../pocketflex_nb/notebook/widgets/base/js/delta.js";
import { counted, make, makeButton, makeOption, makeSvg, put, signButton, write } from "../../pocketflex_nb/notebook/widgets/base/js/dom.js";
import { asView, isOwnKey } from "../../pocketflex_nb/notebook/widgets/base/js/view_root.js";
import { listen, senderOf } from "../../pocketflex_nb/notebook/widgets/base/js/model.js";
import { chooseTab, reached, walkRowButtons, walkTabs } from "../../pocketflex_nb/notebook/widgets/base/js/roving.js";
import { hasKernel } from "../../pocketflex_nb/notebook/widgets/base/js/model.js";
import { onTyped, searchField } from "../../pocketflex_nb/notebook/widgets/base/js/search_field.js";
import { hideStatic } from "../../pocketflex_nb/notebook/widgets/base/js/static_fallback.js";
import { clock, sign, stateOf } from "../../pocketflex_nb/notebook/widgets/base/js/status.js";
import { announcerOf } from "../../pocketflex_nb/notebook/widgets/base/js/announcer.js";
import { slidBy, throttled } from "../../pocketflex_nb/notebook/widgets/base/js/throttle.js";
import { copyText } from "../../pocketflex_nb/notebook/widgets/base/js/clipboard.js";
import { modelOf, openPage, press } from "./page.js";

beforeEach(() => openPage());

test("a text becomes no markup", () => {
  assert.equal(make("div", "pf", "<b>x</b>").innerHTML, "&lt;b&gt;x&lt;/b&gt;");
  assert.equal(makeOption("a", "<i>").outerHTML, '<option value="a">&lt;i&gt;</option>');
});

test("a button submits no form", () => {
  let pressed = 0;
  const button = makeButton("Go", "pf-button", () => { pressed += 1; }, "why");
  button.click();
  assert.deepEqual([button.type, button.title, pressed], ["button", "why", 1]);
});

test("a sign's label says what it does, its title the key", () => {
  const button = signButton("‹", "pf", "One step back", () => {}, "[");
  assert.deepEqual([button.getAttribute("aria-label"), button.title, signButton("×", "", "Leave out n", () => {}).title], ["One step back", "One step back ([)", ""]);
});

test("what was typed counts once a person rests", async () => {
  const heard = [], field = searchField("pf-find", "Search in this tab", "Search"), end = onTyped(field, (text) => heard.push(text));
  for (const text of ["a", "an", "ant"]) {
    field.value = text;
    field.dispatchEvent(new window.Event("input"));
  }
  await new Promise((resolve) => { setTimeout(resolve, 400); });
  end();
  assert.deepEqual([heard, field.type, field.placeholder], [["ant"], "search", "Search"]);
});

test("an equal text is not written again", () => {
  const el = make("span", "", "same"), inside = el.firstChild;
  write(el, "same");
  assert.equal(el.firstChild, inside);
  write(el, "other");
  assert.equal(el.textContent, "other");
});

test("a field that a person is in stays as it is", () => {
  const field = make("input");
  document.body.append(field);
  field.focus();
  put(field, "theirs");
  assert.equal(field.value, "");
  field.blur();
  put(field, "theirs");
  assert.equal(field.value, "theirs");
});

test("what gets the focus in a view keeps its keys", () => {
  const root = asView(make("div")), field = make("input");
  root.append(field);
  document.body.append(root);
  field.focus();
  assert.equal(root.getAttribute("role"), "group");
  assert.equal(field.getAttribute("data-lm-suppress-shortcuts"), "true");
});

test("one is counted as one", () => {
  assert.deepEqual([counted(1, "step"), counted(0, "step"), counted(2, "child", "children")], ["1 step", "0 steps", "2 children"]);
});

test("times are written as on a clock", () => {
  const told = [0, 4.25, 59.94, 60, 65.9, 3599, 3600, 3661, 36_000].map(clock);
  assert.deepEqual(told, ["0.0 s", "4.3 s", "59.9 s", "1:00", "1:05", "59:59", "1:00:00", "1:01:01", "10:00:00"]);
});

test("a sign says its word, or is decoration", () => {
  const glyphs = { running: "M0 0h1" };
  const said = sign(glyphs, "running", { label: "running" }), silent = sign(glyphs, stateOf("paused"), { prefix: "pf-e-" });
  assert.deepEqual([said.getAttribute("role"), said.getAttribute("aria-label"), said.getAttribute("class")], ["img", "running", "pf-dot"]);
  assert.equal(said.querySelector(".pf-glyph").getAttribute("d"), "M0 0h1");
  assert.deepEqual([silent.getAttribute("aria-hidden"), silent.getAttribute("data-state")], ["true", "waiting"]);
  assert.ok(silent.querySelector(".pf-e-disc"));
});

test("an SVG element stands in SVG's namespace", () => {
  const svg = makeSvg("svg", { width: 3 }, makeSvg("path", { d: "M0 0" }));
  assert.equal(svg.firstChild.namespaceURI, "http://www.w3.org/2000/svg");
  assert.equal(svg.getAttribute("width"), "3");
});

test("differences give what the kernel meant", () => {
  const old = { a: { b: 1 }, c: [1, 2, 3], d: "say" };
  const kept = old.a;
  const now = applied(old, [1, { c: [2, 1, [], { 0: [0, 9] }, [4], 3], d: [3, 1, "!"] }, []]);
  assert.deepEqual(now, { a: { b: 1 }, c: [9, 3, 4], d: "ay!" });
  assert.equal(now.a, kept);
  assert.deepEqual(applied(old, [1, {}, ["a", "d"]]), { c: [1, 2, 3] });
  assert.deepEqual(applied([1, 2, 3], [4, { 1: 7 }]), [1, 7, 3]);
  assert.deepEqual(applied({ x: 1 }, [5, { y: 2 }]), { x: 1, y: 2 });
});

test("a page asks for the whole once when it missed a difference", () => {
  const model = modelOf({ revision: 0, n: 1 });
  const end = initialize({ model });
  model.hear("msg:custom", { revision: 1, patch: { n: [0, 2] } });
  model.hear("msg:custom", { revision: 1, patch: { n: [0, 8] } });
  model.hear("msg:custom", { revision: 3, patch: { n: [0, 9] } });
  model.hear("msg:custom", { revision: 4, patch: { n: [0, 9] } });
  assert.deepEqual([model.get("n"), model.get("revision")], [2, 1]);
  assert.deepEqual(model.sent, [{ do: "fresh", revision: 0 }, { do: "fresh", revision: 1 }]);
  end();
  assert.equal(model.listeners(), 0);
});

test("listening ends as a whole", () => {
  const model = modelOf({ a: 1 }), heard = [];
  const end = listen(model, { "change:a": () => heard.push("a"), gone: () => heard.push("gone") });
  model.set("a", 2);
  model.hear("gone");
  end();
  model.set("a", 3);
  assert.deepEqual([heard, model.listeners()], [["a", "gone"], 0]);
});

test("sending to a kernel that went does nothing", () => {
  const send = senderOf({ ...modelOf({}), send() { throw new Error("Cannot send"); } });
  assert.equal(send({ do: "stop" }), undefined);
});

test("arrow keys go round the ends of a row or a column", () => {
  assert.deepEqual(["ArrowRight", "ArrowLeft", "Home", "End", "ArrowDown", "x"].map((key) => reached(key, 2, 3)), [0, 1, 0, 2, undefined, undefined]);
  assert.deepEqual(["ArrowDown", "ArrowUp", "ArrowLeft"].map((key) => reached(key, 0, 3, "column")), [1, 2, undefined]);
  assert.equal(reached("Home", 0, 0), undefined);
});

test("tabs are one stop for Tab, and arrow keys choose among them", () => {
  const list = make("div"), chosen = [];
  const draw = (index) => chooseTab(list, (_, k) => k === index);
  for (const k of [0, 1, 2]) list.append(makeButton(`tab ${k}`, "", () => { chosen.push(k); draw(k); }));
  document.body.append(list);
  walkTabs(list);
  draw(0);
  list.children[0].focus();
  assert.ok(press(document.activeElement, "ArrowLeft"));
  assert.ok(press(document.activeElement, "ArrowRight"));
  assert.ok(press(document.activeElement, "End"));
  assert.ok(!press(document.activeElement, "a"));
  assert.deepEqual(chosen, [2, 0, 2]);
  assert.equal(document.activeElement, list.children[2]);
  assert.deepEqual([...list.children].map((tab) => [tab.tabIndex, tab.getAttribute("aria-selected")]), [[-1, "false"], [-1, "false"], [0, "true"]]);
});

function outputs(...contents) {
  const area = make("div");
  area.append(...contents.map((content) => {
    const child = make("div", "jp-OutputArea-child");
    child.append(content);
    return child;
  }));
  document.body.append(area);
  return area;
}

function marked(mark) {
  const el = make("div");
  el.setAttribute("data-static", mark);
  return el;
}

test("only the static form of this view is hidden, also one that comes later", async () => {
  const el = make("div"), image = make("img");
  image.src = `data:image/svg+xml,${encodeURIComponent('<svg data-static="a"/>')}`;
  const area = outputs(el, marked("a"), marked("b"), image);
  const end = hideStatic(el, modelOf({ static: "a" }));
  const hidden = () => [...area.children].map((child) => child.classList.contains("pf-hidden-static"));
  assert.deepEqual(hidden(), [false, true, false, true]);
  const late = make("div");
  late.append(marked("a"));
  area.append(late);
  await window.happyDOM.waitUntilComplete();
  assert.deepEqual(hidden(), [false, true, false, true, true]);
  end();
});

test("a view that is put into its page later hides its static form then", async () => {
  const el = make("div");
  const end = hideStatic(el, modelOf({ static: "a" }));
  const area = outputs(el, marked("a"));
  await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
  assert.ok(area.children[1].classList.contains("pf-hidden-static"));
  end();
});

test("a view that a file brought without its kernel gives way to its still form, and stays where there is none", () => {
  for (const mark of ["a", "b"]) {
    const el = make("div"), area = outputs(el, marked("a"));
    const end = hideStatic(el, Object.assign(modelOf({ static: mark }), { comm_live: false }));
    assert.deepEqual([...area.children].map((child) => child.classList.contains("pf-hidden-static")), [mark === "a", false]);
    end();
  }
});

test("whether a kernel answers is read from the whole model, which a change brings", () => {
  const whole = { comm_live: false }, part = modelOf({});
  part.set = (name) => part.hear(`change:${name}`, whole);
  assert.equal(hasKernel(part), false);
  whole.comm_live = true;
  assert.equal(hasKernel(part), true);
  part.set = (name, value) => part.hear(`change:${name}`, value);
  assert.deepEqual([hasKernel(part), part.listeners()], [true, 0]);
});

test("a slider's last place always arrives", () => {
  const timers = [];
  globalThis.window = { setTimeout: (fn) => timers.push(fn) };
  const sent = [], { seek } = throttled((message) => sent.push(message));
  for (const n of [1, 2, 3]) seek(n);
  assert.deepEqual(sent, [1]);
  timers.shift()();
  assert.deepEqual(sent, [1, 3]);
  timers.shift()();
  assert.deepEqual([sent, timers.length], [[1, 3], 0]);
});

test("a text is copied without a clipboard too", async () => {
  const near = make("div"), button = make("button"), copied = [];
  document.body.append(near, button);
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  document.execCommand = () => { copied.push(near.querySelector("textarea").value); return true; };
  assert.equal(await copyText("a text", { near, focus: button }), true);
  assert.deepEqual([copied, near.children.length, document.activeElement === button], [["a text"], 0, true]);
});

test("single keys are the view's, and those with Ctrl the front end's, but for what edits a text", () => {
  const text = { tagName: "INPUT", type: "text" }, button = { tagName: "BUTTON" }, slider = { tagName: "INPUT", type: "range" };
  const own = (key, target, more = {}) => isOwnKey({ key, target, ctrlKey: false, metaKey: false, altKey: false, ...more });
  assert.deepEqual([own("b", button), own("s", button, { ctrlKey: true }), own("s", text, { ctrlKey: true }), own("Z", text, { ctrlKey: true, shiftKey: true })],
    [true, false, false, true]);
  assert.deepEqual([own("a", slider, { ctrlKey: true }), own("a", text, { metaKey: true }), own("f", button, { altKey: true })], [false, true, false]);
});

test("the mark goes for the length of a key with Ctrl", () => {
  const root = asView(make("div")), button = makeButton("one", "x");
  root.append(button);
  document.body.append(root);
  button.focus();
  press(button, "s", { ctrlKey: true });
  assert.deepEqual([root, button].map((el) => el.hasAttribute("data-lm-suppress-shortcuts")), [false, false]);
  press(button, "s");
  assert.deepEqual([root, button].map((el) => el.hasAttribute("data-lm-suppress-shortcuts")), [true, true]);
});

test("the focus goes to the like of what was taken away, else to a neighbour", async () => {
  const root = asView(make("div")), [one, two, three] = ["one", "two", "three"].map((text) => makeButton(text, "x"));
  root.append(one, two, three);
  document.body.append(root);
  const settle = () => new Promise((resolve) => { setTimeout(resolve, 5); });
  two.focus();
  await settle();
  const like = makeButton("two", "x");
  two.replaceWith(like);
  await settle();
  assert.equal(document.activeElement, like);
  like.remove();
  await settle();
  assert.equal(document.activeElement, three);
  three.hidden = true;
  await settle();
  assert.equal(document.activeElement, one);
  one.disabled = true;
  await settle();
  assert.equal(document.activeElement, root);
});

test("a slider does not go back behind a hand, and follows again once the kernel has", () => {
  const slider = make("input"), hand = slidBy(slider);
  slider.type = "range";
  Object.assign(slider, { min: "0", max: "50" });
  hand.show(10);
  for (const value of ["9", "8", "7"]) {
    slider.value = value;
    slider.dispatchEvent(new window.Event("input"));
    hand.show(10);
  }
  assert.equal(slider.value, "7");
  hand.show(7);
  hand.show(12);
  assert.equal(slider.value, "12");
});

test("how things stand is told at most once in three seconds, what is urgent at once", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  window.setTimeout = globalThis.setTimeout;
  const announcer = announcerOf("x"), [calm, urgent] = announcer.els;
  const heard = [];
  for (let n = 1; n <= 60; n += 1) {
    announcer.say(`${n} done`);
    heard.push(calm.textContent);
    t.mock.timers.tick(100);
  }
  assert.deepEqual([new Set(heard).size, calm.textContent], [2, "60 done"]);
  for (const name of ["a", "b", "c", "d", "e"]) announcer.call(`${name} failed`);
  assert.equal(urgent.textContent, "a failed");
  t.mock.timers.tick(1000);
  assert.equal(urgent.textContent, "b failed; c failed; d failed; and 1 more");
  announcer.end();
});

test("the buttons of a list's rows are one stop of Tab, among which arrow keys go, however rows come and go", async () => {
  const list = make("div"), rowOf = (...names) => {
    const row = make("div", "row");
    row.append(...names.map((name) => makeButton(name, "")));
    return row;
  };
  const settled = () => new Promise((resolve) => { setTimeout(resolve, 1); });
  list.append(rowOf("a", "stop a"), rowOf("b"), rowOf("c", "stop c"), makeButton("beside", ""));
  document.body.append(list);
  const end = walkRowButtons(list, ".row");
  const stops = () => [...list.querySelectorAll(".row button")].filter((button) => button.tabIndex === 0).map((button) => button.textContent);
  const at = () => document.activeElement.textContent;
  assert.deepEqual(stops(), ["a"]);
  list.querySelector("button").focus();
  const way = ["ArrowRight", "ArrowDown", "ArrowDown", "Home", "ArrowUp"].map((key) => [press(document.activeElement, key), at()]);
  assert.deepEqual(way, [[true, "stop a"], [true, "b"], [true, "c"], [true, "a"], [true, "c"]]);
  press(document.activeElement, "ArrowUp");
  assert.equal(press(document.activeElement, "ArrowRight"), false);     // one button: the key is the view's
  assert.deepEqual(stops(), ["b"]);
  list.children[1].remove();
  list.prepend(rowOf("new"));
  await settled();
  assert.deepEqual(stops(), ["new"]);
  list.querySelector("button").disabled = true;
  await settled();
  assert.deepEqual([stops(), list.lastElementChild.hasAttribute("tabindex")], [["a"], false]);
  end();
});
