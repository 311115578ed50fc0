// @ts-check
// Markdown as elements: the kernel gives a tree of names and texts, and only elements of a list are made of it. Nothing is fetched.

import { make } from "./dom.js";

/** @typedef {string | [string, Record<string, string>, MarkdownNode[]]} MarkdownNode */

const ALLOWED = new Set([
  "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "table",
  "tbody", "td", "th", "thead", "tr", "ul",
]);
const WEB = /^(https?:\/\/|mailto:)/i;
/** Headings stand below those of the notebook. @type {Record<string, string>} */
const LOWER = { h1: "h4", h2: "h5", h3: "h6", h4: "h6", h5: "h6" };

/** @param {MarkdownNode[]} tree @param {string} cls */
export function markdownOf(tree, cls) {
  const el = make("div", cls);
  el.append(...tree.map(nodeOf));
  return el;
}

/** @param {MarkdownNode} node @returns {Node} */
function nodeOf(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [name, attributes, children] = node, inside = children.map(nodeOf);
  if (!ALLOWED.has(name)) {
    const plain = make("span");
    plain.append(...inside);
    return plain;
  }
  const el = document.createElement(LOWER[name] ?? name);
  el.append(...inside);
  if (name === "a") asLink(/** @type {HTMLAnchorElement} */ (el), String(attributes.href ?? ""));
  else if (attributes.title) el.title = attributes.title;
  if (name === "ol" && /^\d{1,9}$/.test(attributes.start ?? "")) el.setAttribute("start", attributes.start);
  return el;
}

/** A link that opens beside the notebook, once it is clicked, and tells where. @param {HTMLAnchorElement} el @param {string} address */
function asLink(el, address) {
  if (!WEB.test(address)) return;
  el.href = address;
  el.title = address;
  el.target = "_blank";
  el.rel = "noopener noreferrer nofollow";
}
