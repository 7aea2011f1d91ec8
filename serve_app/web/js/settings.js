// @ts-check
/** The panel's settings: those that the chosen model reads, and no others. */

import { byId, element, input, make } from "./dom.js";
import { control } from "./field_controls.js";
import { FIELDS, TEXT_FIELDS, active, taken } from "./fields.js";
import { has, t } from "./i18n.js";
import { remember, remembered } from "./storage.js";

/**
 * @typedef {import("./api.js").ModelCard} ModelCard
 * @typedef {import("./api.js").Fields} ApiFields
 * @typedef {import("./fields.js").Field} Field
 * @typedef {import("./fields.js").Value} Value
 */

const form = byId("settings", HTMLFormElement);
const prompt = input("prompt");
const AUTO = "run_on_release";
const SWITCHES = { croper: "use_croper", extender: "use_extender" };
/** Of one picture, so not remembered. */
const PASSING = new Set([...Object.values(SWITCHES), "prompt", "seed"]);

/** Tells "change" when a value is another one, or another model's fields are shown. */
class Settings extends EventTarget {
  /** @type {import("./fields.js").Values} */
  values = { prompt: "" };
  /** The example of what the hole should show. @type {Blob | null} */
  example = null;
  /** @type {ModelCard | null} */
  #card = null;

  constructor() {
    super();
    const stored = remembered("settings", /** @type {Record<string, Value>} */ ({}));
    for (const { name, start } of [...FIELDS, ...TEXT_FIELDS]) {
      const kept = PASSING.has(name) ? undefined : stored[name];
      const fits = typeof kept === (start === null ? "string" : typeof start);
      this.values[name] = fits && kept !== undefined ? kept : start;
    }
    this.values[AUTO] = stored[AUTO] === true;
  }

  get runsOnRelease() {
    return this.values[AUTO] === true && this.#card?.kind === "erase";
  }

  /** @param {ModelCard} card */
  show(card) {
    this.#card = card;
    for (const { name, start, choices } of FIELDS) {
      // A method of another model's.
      const named = typeof choices === "function" ? choices(card) : null;
      if (named && !named.includes(String(this.values[name]))) this.values[name] = start;
    }
    this.render();
  }

  /** @param {string} name @param {Value} value */
  set(name, value) {
    if (this.values[name] === value) return;
    const shape = this.#shape();
    this.values[name] = value;
    const kept = Object.entries(this.values).filter(([key]) => !PASSING.has(key));
    remember("settings", Object.fromEntries(kept));
    if (this.#shape() !== shape) this.render();
    else this.dispatchEvent(new Event("change"));
  }

  /** Which box is drawn on the canvas. @returns {"croper" | "extender" | null} */
  get frame() {
    const names = this.#card ? active(this.#card, this.values).map(({ name }) => name) : [];
    if (names.includes("croper_x")) return "croper";
    return names.includes("extender_x") ? "extender" : null;
  }

  /** @param {[number, number, number, number]} box x, y, width, height */
  setFrame(box) {
    const frame = this.frame;
    if (!frame) return;
    ["x", "y", "width", "height"].forEach((part, at) => {
      this.values[`${frame}_${part}`] = Math.round(box[at]);
      const shown = form.querySelector(`[name="${frame}_${part}"]`);
      if (shown instanceof HTMLInputElement) shown.value = String(Math.round(box[at]));
    });
    this.dispatchEvent(new Event("change"));
  }

  /** What POST /inpaint is sent beside picture and mask. @returns {ApiFields} */
  forInpaint() {
    return this.#card ? this.#sent(this.#card) : {};
  }

  /**
   * What POST /remove-text is sent: the settings of the model that erases, if it is the chosen one.
   * @param {ModelCard | null} eraser
   * @returns {ApiFields}
   */
  forText(eraser) {
    /** @type {ApiFields} */
    const sent = eraser ? this.#sent(eraser) : {};
    for (const { name, start } of TEXT_FIELDS) {
      const value = this.values[name];
      if (value !== start && value !== null && value !== "") sent[name] = value;
    }
    return sent;
  }

  /** @param {ModelCard} card @returns {ApiFields} */
  #sent(card) {
    /** @type {ApiFields} */
    const sent = { model: card.name };
    if (taken(card).has("prompt")) sent.prompt = String(this.values.prompt ?? "");
    for (const { name, type } of active(card, this.values)) {
      const value = this.values[name];
      if (type === "picture") {
        if (this.example) sent[name] = this.example;
      } else if (value !== null && value !== "") sent[name] = value;
    }
    return sent;
  }

  /** Draw the panel anew; the focus stays where it was. */
  render() {
    const card = this.#card;
    if (!card) return;
    const focused = document.activeElement?.getAttribute("name");
    const groups = new Map();
    for (const field of active(card, this.values)) {
      groups.set(field.group, [...(groups.get(field.group) ?? []), field]);
    }
    const shown = [...groups].map(([name, fields]) => this.#group(name, fields, card));
    if (card.kind === "erase") shown.unshift(this.#work());
    shown.push(this.#group("text", TEXT_FIELDS, card));
    form.replaceChildren(...shown);
    if (focused) {
      const again = form.querySelector(`[name="${focused}"]`);
      if (again instanceof HTMLElement) again.focus();
    }
    element("prompt-box").hidden = !taken(card).has("prompt");
    prompt.value = String(this.values.prompt ?? "");
    prompt.placeholder = t("field.prompt.help");
    this.dispatchEvent(new Event("change"));
  }

  #work() {
    /** @type {Field} */
    const field = { name: AUTO, group: "work", type: "switch", start: false };
    return this.#group("work", [field], this.#card);
  }

  /** @param {string} name @param {readonly Field[]} fields @param {ModelCard | null} card */
  #group(name, fields, card) {
    const rows = fields.map((field) => control(field, card, this));
    const help =
      has(`group.${name}.help`) && make("p", { class: "field-help" }, t(`group.${name}.help`));
    return make(
      "fieldset",
      { class: "group" },
      make("legend", {}, t(`group.${name}`)),
      help,
      ...rows,
    );
  }

  /** Which fields are shown. */
  #shape() {
    const card = this.#card;
    return card
      ? active(card, this.values)
          .map(({ name }) => name)
          .join()
      : "";
  }
}

export const settings = new Settings();

export function startSettings() {
  form.addEventListener("submit", (event) => event.preventDefault());
  prompt.addEventListener("input", () => settings.set("prompt", prompt.value));
}
