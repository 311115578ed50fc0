// @ts-check
// Puts a text into the clipboard, also on pages without a secure origin.

import { make } from "./dom.js";

/** Whether the text went into the clipboard. The focus goes to `focus` where another way than the browser's own was taken.
 *  @param {string} text @param {{ near: HTMLElement, focus: HTMLElement }} places where a field may be laid for a moment
 *  @returns {Promise<boolean>} */
export async function copyText(text, { near, focus }) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {   // no clipboard where the page came by plain http: as pages did before there was one
    const field = make("textarea");
    field.value = text;
    near.append(field);
    field.select();
    const went = document.execCommand("copy");
    field.remove();
    focus.focus();
    return went;
  }
}
