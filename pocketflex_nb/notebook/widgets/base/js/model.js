// @ts-check
// The kernel's side of a view, as anywidget hands it to the page.

/** @typedef {{
 *   get(name: string): any,
 *   set(name: string, value: any): void,
 *   send(message: object): void,
 *   on(event: string, heard: (...facts: any[]) => void): void,
 *   off(event: string, heard: (...facts: any[]) => void): void,
 *   comm_live?: boolean,
 * }} Model */

/** Call each function when its event comes; the returned function ends that.
 *  @param {Model} model @param {Record<string, (...facts: any[]) => void>} handlers by event, as `change:rows` */
export function listen(model, handlers) {
  for (const [event, heard] of Object.entries(handlers)) model.on(event, heard);
  return () => {
    for (const [event, heard] of Object.entries(handlers)) model.off(event, heard);
  };
}

/** What a view sends with: nothing happens where the kernel went meanwhile. @param {Model} model */
export function senderOf(model) {
  return (/** @type {object} */ message) => {
    try {
      model.send(message);
    } catch {
      // leaving a field sends too, also after the kernel's end
    }
  };
}

/** An attribute of the page's own, which is never sent. */
const PROBE = "pf_probe";
let probes = 0;

/** Whether a kernel answers this view. anywidget hands out a part of the model that does not tell; the whole model comes with each change.
 *  @param {Model} model */
export function hasKernel(model) {
  /** @type {Model} */
  let whole = model;
  const heard = (/** @type {any} */ changed) => {
    if (changed && typeof changed === "object" && "comm_live" in changed) whole = changed;
  };
  model.on(`change:${PROBE}`, heard);
  model.set(PROBE, ++probes);
  model.off(`change:${PROBE}`, heard);
  return whole.comm_live !== false;
}
