// @ts-check
// The part of a picture that a pane shows: fitted while its words are legible, else a part of it that follows what runs.

/** @typedef {{ width: number, height: number }} Size */
/** Where the pane's upper left corner is in the picture, and pixels for a unit of the picture. @typedef {{ x: number, y: number, scale: number }} Place */
/** @typedef {{ x: number, y: number }} Point */

/** Pixels for a unit: labels of 13 units stay as high as 11 pixels, and do not become giants. */
export const LEAST = 11 / 13, MOST = 1.15;
/** Pixels for a unit that a person may choose. */
const SMALLEST = 0.1, LARGEST = 4;
/** Pixels around a node that is followed. */
const MARGIN = 70;

/** The scale at which all is seen. @param {Size} picture @param {Size} pane */
export function fitOf(picture, pane) {
  return Math.min(pane.width / picture.width, pane.height / picture.height, MOST);
}

/** The scale of a pane that nobody has zoomed. @param {Size} picture @param {Size} pane */
export function scaleOf(picture, pane) {
  return Math.max(fitOf(picture, pane), LEAST);
}

/** A place that shows no more emptiness than need be: what is smaller than the pane stands in its middle.
 *  @param {Place} place @param {Size} picture @param {Size} pane @returns {Place} */
export function clamped({ x, y, scale }, picture, pane) {
  const along = (/** @type {number} */ at, /** @type {number} */ whole, /** @type {number} */ seen) => (
    seen >= whole ? (whole - seen) / 2 : Math.min(Math.max(at, 0), whole - seen)
  );
  return { x: along(x, picture.width, pane.width / scale), y: along(y, picture.height, pane.height / scale), scale };
}

/** A place with this point in its middle. @param {Point} point @param {number} scale @param {Size} pane @returns {Place} */
export function centred(point, scale, pane) {
  return { x: point.x - pane.width / scale / 2, y: point.y - pane.height / scale / 2, scale };
}

/** Whether a point is in sight, with some room around it. @param {Point} point @param {Place} place @param {Size} pane */
export function isSeen({ x, y }, place, pane) {
  const near = (/** @type {number} */ at, /** @type {number} */ size) => {
    const margin = Math.min(MARGIN, size / 3);
    return at >= margin && at <= size - margin;
  };
  return near((x - place.x) * place.scale, pane.width) && near((y - place.y) * place.scale, pane.height);
}

/** The same place, larger or smaller by a factor; the point of the pane stays where it is.
 *  @param {Place} place @param {number} factor @param {Point} point pixels in the pane @returns {Place} */
export function zoomed(place, factor, point) {
  const scale = Math.min(Math.max(place.scale * factor, SMALLEST), LARGEST);
  return { x: place.x + point.x / place.scale - point.x / scale, y: place.y + point.y / place.scale - point.y / scale, scale };
}

/** What is between two places, `part` of the way. @param {Place} from @param {Place} to @param {number} part @returns {Place} */
export function between(from, to, part) {
  const mix = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * part;
  return { x: mix(from.x, to.x), y: mix(from.y, to.y), scale: mix(from.scale, to.scale) };
}

/** Whether a picture is larger beside the lanes than above them. @param {Size} picture @param {Size} room for picture and lanes together */
export function isBeside(picture, room) {
  const above = fitOf(picture, { width: room.width, height: room.height * 0.55 });
  return fitOf(picture, { width: room.width / 2, height: room.height }) >= Math.min(above, 1);
}
