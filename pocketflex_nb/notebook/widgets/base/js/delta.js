// @ts-check
// Keeps the page's model equal to the kernel's, by differences.

/** @typedef {import("./model.js").Model} Model */

/** What `old` becomes by a difference (delta.py says how one is written); what stays the same stays the same object.
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
 *  @param {{ model: Model }} props */
export function initialize({ model }) {
  const ask = () => model.send({ do: "fresh", revision: model.get("revision") });
  let asked = -1;
  const heard = (/** @type {any} */ message) => {
    if (!message?.patch) return;
    const revision = model.get("revision");
    if (message.revision <= revision) return;
    if (message.revision !== revision + 1) {
      if (asked !== revision) {
        asked = revision;
        ask();
      }
      return;
    }
    model.set("revision", message.revision);
    for (const [name, change] of Object.entries(message.patch)) model.set(name, applied(model.get(name), change));
  };
  model.on("msg:custom", heard);
  ask();
  return () => model.off("msg:custom", heard);
}
