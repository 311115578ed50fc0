// @ts-check
// The sequence of messages, as the kernel drew it.

import { counted, make, makeOption } from "../base/js/dom.js";

/** Fill `root` and give what draws it again, by event.
 *  @param {import("../base/js/model.js").Model} model @param {HTMLElement} root @returns {Record<string, () => void>} */
export function showSequence(model, root) {
  const bar = make("div", "pf-agents-bar"), facts = make("span", "pf-agents-facts");
  const choose = make("select", "pf-agents-find");
  choose.setAttribute("aria-label", "Show one kind of message");
  choose.addEventListener("change", () => model.send({ do: "kind", kind: choose.value }));
  bar.append(make("span", "pf-agents-title", "Messages"), facts, choose);
  const picture = make("div", "pf-agents-picture");
  picture.tabIndex = 0;
  root.append(bar, picture);
  root.setAttribute("aria-label", "Sequence of messages");

  function drawHead() {
    const head = model.get("head");
    facts.textContent = counted(head.events, "event");
    /** @type {string[]} */
    const kinds = ["", ...head.kinds];
    if ([...choose.options].map((option) => option.value).join() === kinds.join()) return;
    choose.replaceChildren(...kinds.map((kind) => makeOption(kind, kind || "every kind")));
    choose.value = head.kind;
  }

  function drawPicture() {
    const parsed = new DOMParser().parseFromString(model.get("picture"), "image/svg+xml").documentElement;
    const follows = picture.scrollTop + picture.clientHeight >= picture.scrollHeight - 12;
    picture.replaceChildren(document.importNode(parsed, true));
    if (follows) picture.scrollTop = picture.scrollHeight;
  }

  drawHead();
  drawPicture();
  return { "change:head": drawHead, "change:picture": drawPicture };
}
