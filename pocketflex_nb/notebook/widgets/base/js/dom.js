// @ts-check
// Makes and writes elements: texts by `textContent` only, so that no data becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with its class and text.
 *  @template {keyof HTMLElementTagNameMap} T
 *  @param {T} tag @param {string} [cls] @param {string} [text] @returns {HTMLElementTagNameMap[T]} */
export function make(tag, cls = "", text = undefined) {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
}

/** An SVG element with its attributes and children.
 *  @template {keyof SVGElementTagNameMap} T
 *  @param {T} tag @param {Record<string, string | number>} attributes @param {...Node} children @returns {SVGElementTagNameMap[T]} */
export function makeSvg(tag, attributes, ...children) {
  const el = document.createElementNS(SVG, tag);
  setAttributes(el, attributes);
  el.append(...children);
  return el;
}

/** @param {Element} el @param {Record<string, string | number | boolean>} attributes */
export function setAttributes(el, attributes) {
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, String(value));
}

/** A button that submits no form.
 *  @param {string} text @param {string} cls @param {(event: MouseEvent) => void} [press] @param {string} [title] */
export function makeButton(text, cls, press, title) {
  const el = make("button", cls, text);
  el.type = "button";
  if (press) el.addEventListener("click", press);
  if (title) el.title = title;
  return el;
}

/** A button with a sign for a text: its label says what it does, its title the key that does the same.
 *  @param {string} text @param {string} cls @param {string} label @param {() => void} press @param {string} [key] */
export function signButton(text, cls, label, press, key) {
  const el = makeButton(text, cls, press, key && `${label} (${key})`);
  el.setAttribute("aria-label", label);
  return el;
}

/** @param {string} value @param {string} text */
export function makeOption(value, text) {
  const el = make("option", "", text);
  el.value = value;
  return el;
}

/** Change a text only where it differs: a text that is written again is read out again. @param {Element} el @param {string} text */
export function write(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** Change a field's value, unless a person is in it. @param {HTMLInputElement} field @param {string} text */
export function put(field, text) {
  if (focusIn(field) !== field && field.value !== text) field.value = text;
}

/** The element that has the focus, in the document or shadow tree of `el`. @param {Node} el @returns {Element | null} */
export function focusIn(el) {
  const root = /** @type {Document | ShadowRoot} */ (el.getRootNode());
  return root.activeElement ?? null;
}

/** `1 step`, `2 steps`. @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many) {
  return `${count} ${count === 1 ? one : (many ?? `${one}s`)}`;
}

/** Whether a person is selecting text there. @param {Element} el */
export function isSelecting(el) {
  const chosen = document.getSelection?.();
  return !!chosen && !chosen.isCollapsed && el.contains(chosen.anchorNode);
}
