// @ts-check
// Sends what a slider says: often enough to follow the hand, seldom enough for the kernel.

/** Milliseconds between two messages. */
const PAUSE = 80;

/** At most twelve messages a second, the last one always.
 *  @template T @param {(message: T) => void} send */
export function throttled(send) {
  let timer = 0;
  /** @type {T[]} */
  let waiting = [];
  const go = () => {
    timer = 0;
    const [message] = waiting;
    if (message === undefined) return;
    waiting = [];
    send(message);
    timer = window.setTimeout(go, PAUSE);
  };
  return {
    seek(/** @type {T} */ message) {
      waiting = [message];
      if (!timer) go();
    },
    end: () => clearTimeout(timer),
  };
}
