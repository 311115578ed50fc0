// A page for tests without a browser: happy-dom's document in place of the browser's, and a model in place of the kernel's.

import { Window } from "happy-dom";

const LENT = [
  "document", "DOMParser", "Element", "Event", "HTMLElement", "KeyboardEvent", "MouseEvent", "MutationObserver", "Node", "Text", "cancelAnimationFrame",
  "requestAnimationFrame",
];

/** Lay an empty page under the modules, and give it. */
export function openPage() {
  const window = new Window({ url: "http://localhost/" });
  globalThis.window = window;
  for (const name of LENT) globalThis[name] = typeof window[name] === "function" && !window[name].prototype ? window[name].bind(window) : window[name];
  return window;
}

/** What anywidget hands to a view; `sent` is what went to the kernel, and `hear` is a message from there. */
export function modelOf(traits) {
  const heard = new Map();
  const model = {
    sent: [],
    get: (name) => traits[name],
    set(name, value) {
      traits[name] = value;
      model.hear(`change:${name}`);
    },
    send: (message) => model.sent.push(message),
    on: (event, fn) => heard.set(event, [...(heard.get(event) ?? []), fn]),
    off: (event, fn) => heard.set(event, (heard.get(event) ?? []).filter((other) => other !== fn)),
    hear: (event, ...facts) => (heard.get(event) ?? []).map((fn) => fn(...facts)),
    listeners: () => [...heard.values()].flat().length,
  };
  return model;
}

/** Press a key at an element; whether the default was prevented. */
export function press(el, key, options = {}) {
  const event = new window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...options });
  el.dispatchEvent(event);
  return event.defaultPrevented;
}
