// @ts-check
/** The box on the canvas that says where a model with a prompt paints: croper or extender. */

import { element, make } from "./dom.js";
import { settings } from "./settings.js";
import { view } from "./view.js";

/** @typedef {[number, number, number, number]} Box x, y, width, height, in the picture's pixels */

const LEAST_PX = 32;
const EDGES = ["nw", "n", "ne", "w", "e", "sw", "s", "se"];
/** What an extender begins with: the picture, a quarter larger. */
const GROWTH = 1.25;

const frame = element("frame");
const label = make("span", { class: "frame-size" });
/** What is dragged: an edge, or "" for the whole. @type {{edge: string, x: number, y: number, box: Box} | null} */
let drag = null;
/** @type {string | null} */
let shown = null;

export function startFrames() {
  frame.append(
    label,
    ...EDGES.map((edge) => make("span", { class: "frame-handle", "data-edge": edge })),
  );
  frame.addEventListener("pointerdown", grab);
  frame.addEventListener("pointermove", pull);
  for (const end of ["pointerup", "pointercancel"])
    frame.addEventListener(end, () => (drag = null));
  settings.addEventListener("change", () => {
    const isOther = settings.frame !== shown;
    shown = settings.frame;
    if (isOther) place();
    show();
  });
  view.addEventListener("move", show);
}

/** Where the box begins for this picture. */
export function place() {
  const { width, height } = view;
  if (!width || !settings.frame) return;
  if (settings.frame === "croper") {
    const [w, h] = [Math.min(512, width), Math.min(512, height)];
    settings.setFrame([(width - w) / 2, (height - h) / 2, w, h]);
  } else {
    const [w, h] = [width * GROWTH, height * GROWTH];
    settings.setFrame([(width - w) / 2, (height - h) / 2, w, h]);
  }
}

/** @returns {Box} */
function box() {
  const { values, frame: name } = settings;
  return /** @type {Box} */ (
    ["x", "y", "width", "height"].map((part) => Number(values[`${name}_${part}`]))
  );
}

function show() {
  frame.hidden = settings.frame === null || !view.width;
  if (frame.hidden) return;
  const [x, y, width, height] = box();
  frame.style.transform = `translate(${view.left + x * view.scale}px, ${view.top + y * view.scale}px)`;
  frame.style.width = `${width * view.scale}px`;
  frame.style.height = `${height * view.scale}px`;
  label.textContent = `${width} × ${height}`;
}

/** @param {PointerEvent} event */
function grab(event) {
  event.stopPropagation();
  const edge = event.target instanceof HTMLElement ? (event.target.dataset.edge ?? "") : "";
  frame.setPointerCapture(event.pointerId);
  drag = { edge, x: event.clientX, y: event.clientY, box: box() };
}

/** @param {PointerEvent} event */
function pull(event) {
  if (!drag) return;
  event.stopPropagation();
  const dx = (event.clientX - drag.x) / view.scale;
  const dy = (event.clientY - drag.y) / view.scale;
  let [x, y, width, height] = drag.box;
  const { edge } = drag;
  if (edge === "") [x, y] = [x + dx, y + dy];
  if (edge.includes("e")) width = Math.max(LEAST_PX, width + dx);
  if (edge.includes("s")) height = Math.max(LEAST_PX, height + dy);
  if (edge.includes("w")) {
    const right = x + width;
    x = Math.min(right - LEAST_PX, x + dx);
    width = right - x;
  }
  if (edge.includes("n")) {
    const bottom = y + height;
    y = Math.min(bottom - LEAST_PX, y + dy);
    height = bottom - y;
  }
  settings.setFrame(within([x, y, width, height]));
}

/** A croper stays on the picture, an extender touches it. @param {Box} wanted @returns {Box} */
function within([x, y, width, height]) {
  if (settings.frame === "croper") {
    const [w, h] = [Math.min(width, view.width), Math.min(height, view.height)];
    return [clamp(x, 0, view.width - w), clamp(y, 0, view.height - h), w, h];
  }
  return [
    clamp(x, 1 - width, view.width - 1),
    clamp(y, 1 - height, view.height - 1),
    width,
    height,
  ];
}

/** @param {number} value @param {number} low @param {number} high */
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
