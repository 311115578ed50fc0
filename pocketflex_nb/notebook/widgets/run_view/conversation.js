// @ts-check
// The conversation as people read chats: one part of it at a time, which follows what is said last unless a person scrolled up.

import { focusIn, isSelecting, make, makeButton, makeOption, setAttributes, write } from "../base/js/dom.js";
import { reached } from "../base/js/roving.js";
import { drawTurn, labelOf, searchedIn } from "./conversation_turn.js";
import { followerOf } from "./lane_lines.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./conversation_turn.js").Turn} Turn */
/** `first` is the place of the first of the rows, `of` how many turns there are.
 *  @typedef {{
 *   rows: Turn[], first: number, of: number, totals: string, scope: string, scopes: [string, string][], opened: import("./conversation_turn.js").Opened,
 *   is_newest: boolean,
 * }} Part */

/** Turns that another part goes back or on. */
const STRIDE = 50;
/** Characters of a message that are read out when it comes. */
const SPOKEN = 200;
/** What the arrow keys stop at. */
const TALK_STOPS = ".pf-turn, .pf-turn button, .pf-turn a";

/** @param {View} view */
export function conversationOf(view) {
  const el = make("div", "pf-talk"), bar = make("div", "pf-talk-bar"), sums = make("span", "pf-talk-sums"), scope = make("select", "pf-talk-scope");
  const place = make("div", "pf-talk-place"), where = make("span", "pf-note"), feed = make("div", "pf-talk-feed");
  const earlier = makeButton("Earlier", "pf-button pf-small", () => go(-STRIDE)), later = makeButton("Later", "pf-button pf-small", () => go(STRIDE));
  const newest = makeButton("Newest", "pf-button pf-small", () => ask({ first: null }));
  const follower = followerOf(), speaker = speakerOf(view);
  /** @type {Map<string, import("./conversation_turn.js").MadeTurn>} */
  let made = new Map();
  scope.setAttribute("aria-label", "Whose messages");
  setAttributes(feed, { role: "feed", "aria-label": "Conversation" });
  scope.addEventListener("change", () => ask({ scope: scope.value }));
  bar.append(sums, scope);
  place.append(where, earlier, later, newest);
  el.append(bar, place, feed);
  follower.watch(feed);
  walkTurns(feed);
  feed.addEventListener("click", (event) => {
    if (!(/** @type {Element} */ (event.target).closest("button, a")) && !isSelecting(feed)) openVisit(event);
  });
  feed.addEventListener("keydown", (event) => {
    if (event.key === "v" && !event.ctrlKey && !event.metaKey && !event.altKey && openVisit(event)) event.stopPropagation();
  });

  /** Open the visit that said a turn, at its head; whether it has one. @param {Event} event */
  function openVisit(event) {
    const target = /** @type {Element} */ (event.target), el = target.closest(event.type === "click" ? ".pf-turn-head" : ".pf-turn")?.closest(".pf-turn");
    const key = [...made].find(([, turn]) => turn.el === el)?.[0];
    /** @type {Part} */
    const part = view.model.get("conversation"), row = part.rows.find((one) => one.key === key);
    if (!row?.where || view.isGone) return false;
    view.openVisit({ turn: row.where, by: row.run ?? "" }, () => made.get(row.key)?.el ?? feed);
    event.preventDefault();
    return true;
  }

  const acts = {
    open: (/** @type {string} */ key) => ask({ open: key }),
    /** Open the visit of a turn in the drawer, which gives the focus back. @param {Turn} row */
    look({ key, visit }) {
      if (visit) view.openVisit({ run: visit[0], address: visit[1] }, () => feed.querySelector(`[data-open="visit ${key}"]`));
    },
  };

  /** @param {object} wanted */
  function ask(wanted) {
    view.send({ do: "talk", ...wanted });
  }

  /** @param {number} by */
  function go(by) {
    ask({ first: Math.max(view.model.get("conversation").first + by, 0) });
  }

  /** @param {string} wanted in small letters: only turns with this text */
  function draw(wanted) {
    /** @type {Part} */
    const part = view.model.get("conversation");
    if (!part.rows) return;
    drawBar(part);
    const rows = wanted ? part.rows.filter((row) => searchedIn(row).includes(wanted)) : part.rows, before = made;
    made = new Map(rows.map((row) => {
      const at = part.first + part.rows.indexOf(row);
      return [row.key, drawTurn(before.get(row.key), row, part.opened, { at, of: part.of }, acts)];
    }));
    const els = [...made.values()].map((turn) => turn.el);
    fill(els.length ? els : [make("div", "pf-note", wanted ? "Nothing has this text." : "Nothing was said here so far.")], part.is_newest);
    if (!feed.querySelector('[tabindex="0"]')) els[els.length - 1]?.setAttribute("tabindex", "0");
    speaker.hear(part, el.isConnected);
  }

  /** Show these, at the end or where a person reads. @param {HTMLElement[]} els @param {boolean} isNewest */
  function fill(els, isNewest) {
    const putBack = isNewest && !feed.dataset.held ? null : placeKept(feed, els);
    arrange(feed, els);
    putBack?.();
    if (isNewest) follower.follow(feed);
  }

  /** @param {Part} part */
  function drawBar(part) {
    write(sums, part.totals);
    const drawn = JSON.stringify(part.scopes);
    if (scope.dataset.drawn !== drawn) {
      scope.dataset.drawn = drawn;
      scope.replaceChildren(...part.scopes.map(([value, text]) => makeOption(value, text)));
    }
    scope.hidden = !part.scopes.length;
    if (scope.value !== part.scope) scope.value = part.scope;
    place.hidden = part.rows.length === part.of;
    write(where, placeText(part));
    earlier.disabled = part.first === 0;
    later.disabled = newest.disabled = part.is_newest;
  }

  return { el, draw, end: follower.end };
}

/** Says what came, while the newest part is in sight. @param {View} view */
function speakerOf(view) {
  /** @type {Set<string>} */
  let known = new Set();
  let scope = "";
  return {
    hear(/** @type {Part} */ part, /** @type {boolean} */ isSeen) {
      const over = part.rows.filter((row) => row.state !== "streaming"), fresh = over.filter((row) => !known.has(row.key));
      const isFirst = !known.size || scope !== part.scope, last = fresh[fresh.length - 1];
      known = new Set(over.map((row) => row.key));
      scope = part.scope;
      if (isFirst || !last || !part.is_newest || !isSeen) return;
      view.announcer.say(fresh.length > 1 ? `${fresh.length} new messages` : `${labelOf(last)}: ${last.text.slice(0, SPOKEN)}`);
    },
  };
}

/** Let the arrow keys go from turn to turn and through what folds in them: one stop of Tab. @param {HTMLElement} feed */
function walkTurns(feed) {
  feed.addEventListener("keydown", (event) => {
    const stops = /** @type {HTMLElement[]} */ ([...feed.querySelectorAll(TALK_STOPS)]);
    const here = stops.indexOf(/** @type {HTMLElement} */ (focusIn(feed)));
    if (here < 0 || event.ctrlKey || event.metaKey || event.altKey || !act(stops, here, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  feed.addEventListener("focusin", (event) => {
    const stop = /** @type {HTMLElement} */ (event.target);
    if (!stop.matches(TALK_STOPS)) return;
    for (const other of feed.querySelectorAll('[tabindex="0"]')) /** @type {HTMLElement} */ (other).tabIndex = -1;
    stop.tabIndex = 0;
  });
}

/** Whether a key is one of the list's. @param {HTMLElement[]} stops @param {number} here @param {string} key */
function act(stops, here, key) {
  const stop = stops[here], isButton = stop.matches("button"), fold = foldOf(stop);
  if (key === "Enter" && stop.matches("a")) return false;    // the browser's own
  if (key === "Enter" && !isButton) fold?.click();
  else if (["ArrowLeft", "ArrowRight"].includes(key)) {
    if (fold && (fold.getAttribute("aria-expanded") === "false") === (key === "ArrowRight")) fold.click();
  } else {
    const to = reached(key, here, stops.length, "column");
    if (to === undefined) return false;
    const isRound = key.startsWith("Arrow") && Math.abs(to - here) > 1;    // a chat has two ends
    if (!isRound) stops[to].focus();
  }
  return true;
}

/** Where a person reads: the first turn in sight that stays; the returned function puts it back at its height.
 *  @param {HTMLElement} feed @param {HTMLElement[]} staying */
function placeKept(feed, staying) {
  const wanted = new Set(staying), first = /** @type {HTMLElement | undefined} */ ([...feed.children].find((child) => {
    const turn = /** @type {HTMLElement} */ (child);
    return wanted.has(turn) && turn.offsetTop + turn.offsetHeight > feed.scrollTop + feed.offsetTop;
  }));
  const before = first ? first.offsetTop - feed.scrollTop : 0;
  return () => {
    if (first) feed.scrollTop = first.offsetTop - before;
  };
}

/** What folds at a stop: the stop itself, or the first in a turn. @param {HTMLElement} stop @returns {HTMLElement | null} */
function foldOf(stop) {
  return stop.matches("[aria-expanded]") ? stop : stop.querySelector("[aria-expanded]");
}

/** Put elements into a holder in order; what stands there stays. @param {HTMLElement} holder @param {HTMLElement[]} els */
function arrange(holder, els) {
  const wanted = new Set(/** @type {Element[]} */ (els));
  for (const child of [...holder.children]) if (!wanted.has(child)) child.remove();
  for (const [k, el] of els.entries()) if (holder.children[k] !== el) holder.insertBefore(el, holder.children[k] ?? null);
}

/** Which turns are in sight, of how many. @param {Part} part */
export function placeText({ rows, first, of }) {
  const tell = (/** @type {number} */ n) => n.toLocaleString("en");
  return rows.length ? `${tell(first + 1)} to ${tell(first + rows.length)} of ${tell(of)}` : `0 of ${tell(of)}`;
}
