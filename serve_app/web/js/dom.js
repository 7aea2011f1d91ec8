// @ts-check
/** Making and finding elements. Text is always text: nothing is ever parsed as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * The element of that id, which the page must have.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return found;
}

/** @param {string} id @returns {HTMLElement} */
export const element = (id) => byId(id, HTMLElement);
/** @param {string} id @returns {HTMLButtonElement} */
export const button = (id) => byId(id, HTMLButtonElement);
/** @param {string} id @returns {HTMLInputElement} */
export const input = (id) => byId(id, HTMLInputElement);

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | EventListener | null | undefined>} [attributes]
 *   `on...` are listeners, `true` is an attribute without value, false and null leave it out
 * @param {...(Node | string | null | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, String(value));
    }
  }
  made.append(...children.filter((child) => child !== null && child !== false));
  return made;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number>} [attributes]
 * @returns {SVGElementTagNameMap[K]}
 */
export function shape(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** A symbol of icons.svg. @param {string} name @returns {SVGSVGElement} */
export function icon(name) {
  const made = shape("svg", { class: "icon", "aria-hidden": "true" });
  made.append(shape("use", { href: `web/icons.svg#${name}` }));
  return made;
}

/**
 * Name a control that shows no words: for screen readers, and as a tip.
 * @param {Element} control
 * @param {string} label
 */
export function setLabel(control, label) {
  control.setAttribute("aria-label", label);
  control.setAttribute("data-tip", label);
}

/** How much of a slider's track is filled. @param {HTMLInputElement} range */
export function fillTrack(range) {
  const [low, high] = [Number(range.min), Number(range.max)];
  const part = (Number(range.value) - low) / (high - low || 1);
  range.style.setProperty("--fill", `${(100 * part).toFixed(1)}%`);
}

/** Let a file be picked. @param {HTMLInputElement} picker @returns {Promise<File[]>} */
export function pick(picker) {
  return new Promise((resolve) => {
    picker.value = "";
    picker.onchange = () => resolve([...(picker.files ?? [])]);
    picker.oncancel = () => resolve([]);
    picker.click();
  });
}

/** Offer a file for download. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
