// @ts-check
/** The mask over the picture, in the picture's own pixels. */

import { byId } from "./dom.js";
import { grown, shrunk } from "./morphology.js";
import { blobFrom, canvasOf } from "./pictures.js";
import { draw, tail } from "./strokes.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */

const HALF = 128;
/** What is covered by half or more is marked: a stroke's soft edge is no grey zone. */

const canvas = byId("mask", HTMLCanvasElement);
const context = /** @type {CanvasRenderingContext2D} */ (
  canvas.getContext("2d", { willReadFrequently: true })
);
/** @type {readonly Stroke[]} */
let shown = [];
/** Whether an unfinished stroke is on the canvas: drawn piece by piece, its edges are others. */
let isDirty = false;

/** @param {number} width @param {number} height */
export function resizeMask(width, height) {
  canvas.width = width;
  canvas.height = height;
  shown = [];
}

/** Show exactly these strokes. @param {readonly Stroke[]} strokes */
export function showStrokes(strokes) {
  const isLonger = !isDirty && shown.every((stroke, at) => stroke === strokes[at]);
  let from = isLonger ? shown.length : 0;
  if (!isLonger) context.clearRect(0, 0, canvas.width, canvas.height);
  from = Math.max(
    from,
    strokes.findLastIndex((stroke) => stroke.kind === "bitmap"),
  );
  for (const stroke of strokes.slice(from)) draw(context, stroke, colour());
  shown = strokes;
  isDirty = false;
}

/**
 * Draw a stroke that is not finished, or what has been added to it; `showStrokes` takes it over.
 * @param {import("./strokes.js").Path} stroke
 * @param {number} from
 */
export function drawUnfinished(stroke, from) {
  draw(context, tail(stroke, from), colour());
  isDirty = true;
}

/** An unfinished stroke is given up. */
export function redraw() {
  isDirty = true;
  showStrokes(shown);
}

/** The mask as the server takes it: white holes on black. @returns {Promise<Blob>} a PNG */
export async function maskPng() {
  const { canvas: made, context: target } = canvasOf(canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = image.data;
  for (let at = 0; at < pixels.length; at += 4) {
    const value = pixels[at + 3] >= HALF ? 255 : 0;
    pixels[at] = pixels[at + 1] = pixels[at + 2] = value;
    pixels[at + 3] = 255;
  }
  target.putImageData(image, 0, 0);
  return blobFrom(made, "image/png");
}

/** Whether anything is marked. @returns {boolean} */
export function isMarked() {
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  for (let at = 3; at < pixels.length; at += 4) if (pixels[at] >= HALF) return true;
  return false;
}

/**
 * The stroke that replaces the mask by itself grown, shrunk or inverted.
 * @param {"grow" | "shrink" | "invert"} how
 * @param {number} radius
 * @returns {Stroke}
 */
export function changedMask(how, radius) {
  const { width, height } = canvas;
  const set = marks(context.getImageData(0, 0, width, height));
  if (how === "invert")
    return bitmap(
      set.map((value) => 1 - value),
      width,
      height,
    );
  const change = how === "grow" ? grown : shrunk;
  return bitmap(change(set, width, height, radius), width, height);
}

/**
 * The stroke that replaces the mask by a picture of one, as the server reads it: bright is a hole.
 * @param {ImageBitmapSource} source of any size
 * @returns {Promise<Stroke>}
 */
export async function maskFrom(source) {
  const { width, height } = canvas;
  const picture = await createImageBitmap(source, { imageOrientation: "from-image" });
  const { context: target } = canvasOf(width, height);
  target.imageSmoothingEnabled = false;
  target.fillRect(0, 0, width, height);
  target.drawImage(picture, 0, 0, width, height);
  picture.close();
  const { data } = target.getImageData(0, 0, width, height);
  const set = new Uint8Array(width * height);
  for (let at = 0; at < set.length; at++) {
    const grey = 0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2];
    set[at] = grey > 127 ? 1 : 0;
  }
  return bitmap(set, width, height);
}

/** @param {ImageData} image @returns {Uint8Array} */
function marks({ data }) {
  const set = new Uint8Array(data.length / 4);
  for (let at = 0; at < set.length; at++) set[at] = data[4 * at + 3] >= HALF ? 1 : 0;
  return set;
}

/** @param {Uint8Array} set @param {number} width @param {number} height @returns {Stroke} */
function bitmap(set, width, height) {
  const { canvas: made, context: target } = canvasOf(width, height);
  const image = target.createImageData(width, height);
  for (let at = 0; at < set.length; at++) image.data[4 * at + 3] = set[at] ? 255 : 0;
  target.putImageData(image, 0, 0);
  target.globalCompositeOperation = "source-in";
  target.fillStyle = colour();
  target.fillRect(0, 0, width, height);
  return { kind: "bitmap", canvas: made };
}

/** As a canvas takes it: light-dark() is resolved on a real property. @returns {string} */
function colour() {
  canvas.style.color = "var(--paint)";
  return getComputedStyle(canvas).color;
}
