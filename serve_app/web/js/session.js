// @ts-check
/** What is worked on: the pictures so far, and every step of the way, to be undone. */

import { release } from "./pictures.js";

/**
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./strokes.js").Stroke} Stroke
 * @typedef {object} Entry a picture of the history
 * @property {Picture} picture
 * @property {string} model whose work it is; "" of what was opened
 * @property {string} seed
 * @property {[number, number]} offset where the opened picture's corner lies in it
 * @typedef {{entry: Entry, strokes: readonly Stroke[]}} Moment
 */

const LONGEST = 500;

/** Tells "change" after every step. */
class Session extends EventTarget {
  /** @type {Entry[]} */
  entries = [];
  /** @type {Moment[]} */
  #moments = [];
  #at = -1;
  /** The mask of the last run. @type {readonly Stroke[]} */
  #lastStrokes = [];

  /** @returns {Moment | null} null before a picture is open */
  get now() {
    return this.#moments[this.#at] ?? null;
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#moments.length - 1;
  }

  /** The mask of the last run, if it fits what is shown. @returns {readonly Stroke[]} */
  get lastStrokes() {
    return this.#lastStrokes;
  }

  /** Begin anew. @param {Picture} picture */
  open(picture) {
    for (const entry of this.entries) release(entry.picture);
    this.entries = [];
    this.#moments = [];
    this.#at = -1;
    this.#lastStrokes = [];
    const entry = {
      picture,
      model: "",
      seed: "",
      offset: /** @type {[number, number]} */ ([0, 0]),
    };
    this.entries.push(entry);
    this.#step({ entry, strokes: [] });
  }

  /** The mask is now these strokes. @param {readonly Stroke[]} strokes */
  setStrokes(strokes) {
    if (this.now) this.#step({ entry: this.now.entry, strokes });
  }

  /** One stroke more. @param {Stroke} stroke */
  add(stroke) {
    if (this.now) this.setStrokes([...this.now.strokes, stroke]);
  }

  /** A run has ended well. @param {Entry} entry */
  addEntry(entry) {
    if (!this.now) return;
    const before = this.now.entry.picture;
    const fits = before.width === entry.picture.width && before.height === entry.picture.height;
    this.#lastStrokes = fits ? this.now.strokes : [];
    this.entries.push(entry);
    this.#step({ entry, strokes: [] });
  }

  /** Go on from an earlier picture. @param {Entry} entry */
  goTo(entry) {
    if (this.now && this.now.entry !== entry) this.#step({ entry, strokes: [] });
  }

  undo() {
    if (this.canUndo) this.#move(-1);
  }

  redo() {
    if (this.canRedo) this.#move(1);
  }

  /** @param {number} by */
  #move(by) {
    this.#at += by;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Moment} moment */
  #step(moment) {
    this.#moments = [...this.#moments.slice(0, this.#at + 1), moment].slice(-LONGEST);
    this.#at = this.#moments.length - 1;
    this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();
