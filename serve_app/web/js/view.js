// @ts-check
/** Where on the screen the picture's pixels are: zooming and moving. */

import { button, element } from "./dom.js";

const board = element("board");
const sheet = element("sheet");
const [LEAST, MOST] = [0.02, 32];
const MAGNIFIED = 3;
/** From here on pixels are shown as squares. */

/** Tells "move" after every change. */
class View extends EventTarget {
  scale = 1;
  left = 0;
  top = 0;
  width = 0;
  height = 0;
  #isFitted = true;

  /** Another picture. @param {number} width @param {number} height */
  resize(width, height) {
    if (this.width === width && this.height === height) return;
    [this.width, this.height] = [width, height];
    sheet.style.width = `${width}px`;
    sheet.style.height = `${height}px`;
    this.fit();
  }

  /** Show all of it, beside what floats over the stage. */
  fit() {
    const { clientWidth, clientHeight } = board;
    if (!this.width || !clientWidth) return;
    const isNarrow = clientWidth < 640;
    const above = isNarrow ? 64 : 24;
    const below = element("dock").offsetHeight + (isNarrow ? 24 : 40);
    const side = isNarrow ? 12 : 88;
    const room = [clientWidth - 2 * side, Math.max(80, clientHeight - above - below)];
    this.scale = Math.min(room[0] / this.width, room[1] / this.height, 4);
    this.left = (clientWidth - this.width * this.scale) / 2;
    this.top = above + (room[1] - this.height * this.scale) / 2;
    this.#isFitted = true;
    this.#show();
  }

  /** The stage has another size. */
  refit() {
    if (this.#isFitted) this.fit();
  }

  /** @param {number} factor @param {number} [x] of the screen @param {number} [y] */
  zoom(factor, x, y) {
    const bounds = board.getBoundingClientRect();
    const [cx, cy] = [
      x === undefined ? bounds.width / 2 : x - bounds.left,
      y === undefined ? bounds.height / 2 : y - bounds.top,
    ];
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    this.left = cx - ((cx - this.left) * scale) / this.scale;
    this.top = cy - ((cy - this.top) * scale) / this.scale;
    this.scale = scale;
    this.#isFitted = false;
    this.#show();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.#isFitted = false;
    this.#show();
  }

  /** The picture's point under a place of the screen. @returns {[number, number]}
   * @param {number} x @param {number} y */
  toPicture(x, y) {
    const bounds = board.getBoundingClientRect();
    return [(x - bounds.left - this.left) / this.scale, (y - bounds.top - this.top) / this.scale];
  }

  #show() {
    sheet.style.transform = `translate(${this.left}px, ${this.top}px) scale(${this.scale})`;
    sheet.classList.toggle("is-magnified", this.scale >= MAGNIFIED);
    element("zoom-value").textContent = `${Math.round(100 * this.scale)}%`;
    this.dispatchEvent(new Event("move"));
  }
}

export const view = new View();

export function startView() {
  new ResizeObserver(() => view.refit()).observe(board);
  new ResizeObserver(() => view.refit()).observe(element("dock"));
  button("zoom-in").addEventListener("click", () => view.zoom(1.25));
  button("zoom-out").addEventListener("click", () => view.zoom(0.8));
  button("zoom-fit").addEventListener("click", () => view.fit());
  board.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      // Trackpads pan with two fingers and pinch with ctrl; a wheel zooms.
      if (event.shiftKey || event.deltaX) view.pan(-event.deltaX * lines, -event.deltaY * lines);
      else
        view.zoom(
          Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 480)),
          event.clientX,
          event.clientY,
        );
    },
    { passive: false },
  );
}
