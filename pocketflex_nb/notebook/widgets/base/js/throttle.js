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

/** Milliseconds for which a slider stays where a hand put it, while the kernel has not followed. */
const STAYS = 2000;

/** Lets a slider follow the kernel, but not back behind a hand: quick presses of a key all count. @param {HTMLInputElement} slider */
export function slidBy(slider) {
  /** @type {number | null} */
  let wanted = null;
  let since = 0;
  slider.addEventListener("input", () => {
    wanted = Number(slider.value);
    since = performance.now();
  });
  return {
    /** Show where the kernel is. @param {number} at */
    show(at) {
      if (wanted !== null && at !== wanted && performance.now() - since < STAYS) return;
      wanted = null;
      slider.value = String(at);
    },
  };
}
