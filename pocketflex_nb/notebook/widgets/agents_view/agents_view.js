// @ts-check
// A supervisor's tree, or the sequence of messages. Rows and pictures come ready from the kernel; clicks are sent back.

import { make } from "../base/js/dom.js";
import { listen } from "../base/js/model.js";
import { hideStatic } from "../base/js/static_fallback.js";
import { asView } from "../base/js/view_root.js";
import { showSequence } from "./sequence.js";
import { showTree } from "./tree.js";

/** @param {{ model: import("../base/js/model.js").Model, el: HTMLElement }} props */
function render({ model, el }) {
  const root = asView(make("div", "pf-agents"));
  el.append(root);
  const handlers = model.get("kind") === "tree" ? showTree(model, root) : showSequence(model, root);
  const ends = [listen(model, handlers), hideStatic(el, model)];
  return () => {
    for (const end of ends) end();
  };
}

export default { render };
