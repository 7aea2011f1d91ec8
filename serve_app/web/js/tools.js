// @ts-check
/** The tools over the picture: brush, eraser, rectangle, lasso, hand; by pointer and by keys. */

import { byId, element, fillTrack, icon, input, make, setLabel, shape } from "./dom.js";
import { onArrows } from "./field_controls.js";
import { onLanguage, t } from "./i18n.js";
import { drawUnfinished, redraw } from "./mask.js";
import { announce } from "./notices.js";
import { session } from "./session.js";
import { remember, remembered } from "./storage.js";
import { rectangle } from "./strokes.js";
import { view } from "./view.js";

/** @typedef {"brush" | "eraser" | "rect" | "lasso" | "hand"} Tool */

/** @type {readonly Tool[]} */
export const TOOLS = ["brush", "eraser", "rect", "lasso", "hand"];
const board = element("board");
const ring = element("brush-ring");
const overlay = byId("overlay-drafts", SVGGElement);
const sizes = input("brush-size");
const [STEP, LEAP] = [8, 64];
/** What an arrow key moves the pen by, on the screen; with shift the second. */

/** @type {Tool} */
let tool = "brush";
let size = 40;
/** Strokes are not to be made: something runs, or regions are being reviewed. */
let isLocked = false;
let isSpace = false;
/** What the pointer that is down draws. @type {{points: number[], id: number} | null} */
let pen = null;
/** Pointers that are down, by id: two of them pinch. @type {Map<number, [number, number]>} */
const down = new Map();
let isPanning = false;
/** Where the keyboard's pen is, in the picture, and the corners it has set. */
let [keyX, keyY] = [0, 0];
let isKeyPen = false;
/** @type {number[]} */
let corners = [];
let onStroke = () => {};

/** @param {() => void} listener called when a stroke is finished */
export function startTools(listener) {
  onStroke = listener;
  board.addEventListener("pointerdown", pressed);
  board.addEventListener("pointermove", moved);
  board.addEventListener("pointerup", released);
  board.addEventListener("pointercancel", released);
  board.addEventListener("pointerleave", () => (ring.hidden = true));
  board.addEventListener("contextmenu", (event) => event.preventDefault());
  board.addEventListener("keydown", keyed);
  board.addEventListener("blur", () => showPen(false));
  view.addEventListener("move", () => (ring.hidden = true));
  sizes.addEventListener("input", () => setSize(Number(sizes.value)));
  setSize(remembered("brush", size));
  onLanguage(showTools);
  showTools();
}

/** @param {Tool} chosen */
export function setTool(chosen) {
  tool = chosen;
  drop();
  for (const button of element("tools").children) {
    const isChosen = button instanceof HTMLElement && button.dataset.tool === tool;
    button.setAttribute("aria-checked", String(isChosen));
    if (button instanceof HTMLElement) button.tabIndex = isChosen ? 0 : -1;
  }
  showCursor();
}

/** @param {number} value of the brush, in pixels of the picture */
export function setSize(value) {
  size = Math.min(200, Math.max(1, Math.round(value)));
  sizes.value = String(size);
  fillTrack(sizes);
  element("brush-size-value").textContent = String(size);
  remember("brush", size);
  if (!ring.hidden) sizeRing();
}

export const brushSize = () => size;

/** @param {boolean} locked */
export function lockTools(locked) {
  isLocked = locked;
  drop();
  showCursor();
}

/** Space is held: the hand, whatever the tool. @param {boolean} held */
export function holdHand(held) {
  isSpace = held;
  showCursor();
}

/** Give up what is being drawn. @returns {boolean} whether there was something */
export function drop() {
  const was = pen !== null || corners.length > 0;
  if (pen) redraw();
  pen = null;
  corners = [];
  overlay.replaceChildren();
  if (isKeyPen) showPen(true);
  return was;
}

/** The picture is another one: the keyboard's pen begins in its middle. */
export function centrePen() {
  [keyX, keyY] = [view.width / 2, view.height / 2];
}

function showTools() {
  const buttons = TOOLS.map((name, at) => {
    const made = make(
      "button",
      {
        type: "button",
        class: "segment",
        role: "radio",
        "data-tool": name,
        onclick: () => setTool(name),
      },
      icon(name),
    );
    setLabel(made, `${t(`tools.${name}`)} (${at + 1})`);
    return made;
  });
  element("tools").replaceChildren(...buttons);
  onArrows(element("tools"), buttons);
  setTool(tool);
}

const isHand = () => tool === "hand" || isSpace;

function showCursor() {
  board.classList.toggle("is-panning", isHand());
  const hasRing = !isHand() && !isLocked && (tool === "brush" || tool === "eraser");
  board.classList.toggle("has-ring", hasRing);
  ring.classList.toggle("is-eraser", tool === "eraser");
  if (!hasRing) ring.hidden = true;
}

function sizeRing() {
  ring.style.width = ring.style.height = `${size * view.scale}px`;
}

/** @param {PointerEvent} event */
function moveRing(event) {
  if (!board.classList.contains("has-ring") || event.pointerType === "touch") return;
  const bounds = board.getBoundingClientRect();
  const radius = (size * view.scale) / 2;
  ring.hidden = false;
  sizeRing();
  const [x, y] = [event.clientX - bounds.left - radius, event.clientY - bounds.top - radius];
  ring.style.transform = `translate(${x}px, ${y}px)`;
}

/** @param {PointerEvent} event */
function pressed(event) {
  if (event.target instanceof Element && event.target.closest(".frame, .region-shape")) return;
  board.setPointerCapture(event.pointerId);
  down.set(event.pointerId, [event.clientX, event.clientY]);
  showPen(false);
  if (down.size === 2) {
    drop(); // the first finger was not drawing
    return;
  }
  isPanning = isHand() || event.button === 1 || isLocked;
  if (isPanning || event.button !== 0) return;
  const point = view.toPicture(event.clientX, event.clientY);
  pen = { points: point, id: event.pointerId };
  draft(0);
}

/** @param {PointerEvent} event */
function moved(event) {
  moveRing(event);
  const last = down.get(event.pointerId);
  if (!last) return;
  const here = /** @type {[number, number]} */ ([event.clientX, event.clientY]);
  if (down.size === 2) pinch(event.pointerId, last, here);
  else if (isPanning) view.pan(here[0] - last[0], here[1] - last[1]);
  else if (pen?.id === event.pointerId) {
    const from = pen.points.length;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length > 0 ? parts : [event]) {
      pen.points.push(...view.toPicture(part.clientX, part.clientY));
    }
    draft(from);
  }
  down.set(event.pointerId, here);
}

/** @param {number} id @param {[number, number]} last @param {[number, number]} here */
function pinch(id, last, here) {
  const [other] = [...down].filter(([key]) => key !== id).map(([, place]) => place);
  const apart = (/** @type {[number, number]} */ [x, y]) => Math.hypot(x - other[0], y - other[1]);
  view.pan((here[0] - last[0]) / 2, (here[1] - last[1]) / 2);
  const middle = [(here[0] + other[0]) / 2, (here[1] + other[1]) / 2];
  view.zoom(apart(here) / (apart(last) || 1), middle[0], middle[1]);
}

/** @param {PointerEvent} event */
function released(event) {
  down.delete(event.pointerId);
  if (down.size === 0) isPanning = false;
  if (pen?.id !== event.pointerId) return;
  const { points } = pen;
  if (event.type === "pointercancel") {
    drop();
    return;
  }
  pen = null;
  overlay.replaceChildren();
  finish(points);
}

/** Show what is being drawn. @param {number} from how many numbers of the points were there */
function draft(from) {
  if (!pen) return;
  const { points } = pen;
  if (tool === "brush" || tool === "eraser") {
    drawUnfinished({ kind: "path", erase: tool === "eraser", size, points }, from);
    return;
  }
  showArea(tool === "rect" ? rectangle(points.slice(0, 2), points.slice(-2)) : points);
}

/** @param {number[]} points */
function showArea(points) {
  overlay.replaceChildren(shape("polygon", { class: "draft", points: points.join(" ") }));
}

/** @param {number[]} points */
function finish(points) {
  if (tool === "brush" || tool === "eraser") {
    session.add({ kind: "path", erase: tool === "eraser", size, points });
  } else {
    const area = tool === "rect" ? rectangle(points.slice(0, 2), points.slice(-2)) : points;
    const [width, height] = [0, 1].map((axis) => {
      const values = area.filter((_, at) => at % 2 === axis);
      return Math.max(...values) - Math.min(...values);
    });
    if (width < 1 || height < 1) return; // a click, no area
    session.add({ kind: "area", erase: false, points: area });
  }
  onStroke();
}

/** The keyboard's pen. @param {KeyboardEvent} event */
function keyed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isLocked) return;
  const by = (event.shiftKey ? LEAP : STEP) / view.scale;
  const move = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[
    event.key
  ];
  if (move) {
    event.preventDefault();
    if (isHand()) return view.pan((-move[0] * view.scale) | 0, (-move[1] * view.scale) | 0);
    keyX = Math.min(view.width, Math.max(0, keyX + move[0]));
    keyY = Math.min(view.height, Math.max(0, keyY + move[1]));
    showPen(true);
    announce(t("tools.at", { x: Math.round(keyX), y: Math.round(keyY) }));
  } else if (event.key === "Enter" && !event.shiftKey && !isHand()) {
    event.preventDefault();
    press();
  }
}

/** A dab of the brush, or a corner: two make a rectangle, a lasso closes where it began. */
function press() {
  showPen(true);
  if (tool === "brush" || tool === "eraser") {
    finish([keyX, keyY]);
    announce(t("tools.marked"));
    return;
  }
  const [x, y] = corners;
  const isClosed = corners.length >= 6 && Math.hypot(x - keyX, y - keyY) * view.scale <= STEP;
  if (!isClosed) corners.push(keyX, keyY);
  if (isClosed || (tool === "rect" && corners.length === 4)) {
    const points = corners;
    corners = [];
    overlay.replaceChildren();
    finish(points);
    showPen(true);
    announce(t("tools.marked"));
  } else announce(t("tools.corner", { count: corners.length / 2 }));
}

/** @param {boolean} isShown */
function showPen(isShown) {
  isKeyPen = isShown;
  overlay.replaceChildren();
  if (!isShown) {
    corners = [];
    return;
  }
  if (corners.length > 0) {
    const here = [keyX, keyY];
    showArea(tool === "rect" ? rectangle(corners.slice(0, 2), here) : [...corners, ...here]);
  }
  const arm = 12 / view.scale;
  const path = `M${keyX - arm} ${keyY}h${2 * arm}M${keyX} ${keyY - arm}v${2 * arm}`;
  overlay.append(
    shape("path", { class: "crosshair is-dark", d: path }),
    shape("path", { class: "crosshair", d: path }),
  );
  if (tool === "brush" || tool === "eraser") {
    overlay.append(shape("circle", { class: "crosshair", cx: keyX, cy: keyY, r: size / 2 }));
  }
}
