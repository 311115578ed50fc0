// @ts-check
// A field to search with.

import { make } from "./dom.js";

/** Milliseconds of rest after which what was typed counts. */
const REST = 150;

/** @param {string} cls @param {string} label said, and shown while nothing is typed */
export function searchField(cls, label, placeholder = label) {
  const field = make("input", cls);
  field.type = "search";
  field.placeholder = placeholder;
  field.setAttribute("aria-label", label);
  return field;
}

/** Call `heard` with what was typed, once a person rests; the returned function ends that.
 *  @param {HTMLInputElement} field @param {(text: string) => void} heard */
export function onTyped(field, heard) {
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => heard(field.value), REST);
  });
  return () => clearTimeout(timer);
}
