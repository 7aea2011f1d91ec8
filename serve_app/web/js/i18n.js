// @ts-check
/** The page's words, in English and Chinese. */

import { setLabel } from "./dom.js";
import { remember, remembered } from "./storage.js";

/** @typedef {"en" | "zh"} Language */

/** @type {Record<string, string>} */
let words = {};
/** @type {Language} */
let current = "en";
/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {Language} */
export const language = () => current;

/**
 * The words for `key`, with `{name}` replaced by values.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Whether there are words for `key`. @param {string} key */
export const has = (key) => key in words;

/** Call `listener` after each change of the language. @param {() => void} listener */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** The language that was chosen here last, else the browser's. */
export async function startLanguage() {
  const ours = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  const stored = remembered("language", ours);
  await choose(stored === "zh" ? "zh" : "en");
}

/** The other one, from now on. */
export async function switchLanguage() {
  await choose(current === "en" ? "zh" : "en");
  remember("language", current);
}

/** @param {Language} chosen */
async function choose(chosen) {
  const answer = await fetch(`web/locales/${chosen}.json`);
  words = await answer.json();
  current = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  translate(document);
  for (const listener of listeners) listener();
}

/** Put words to everything below `root` that asks for some. @param {ParentNode} root */
export function translate(root) {
  for (const [attribute, put] of PUTS) {
    for (const found of root.querySelectorAll(`[${attribute}]`)) {
      put(found, t(found.getAttribute(attribute) ?? ""));
    }
  }
}

/** @type {readonly [string, (element: Element, text: string) => void][]} */
const PUTS = [
  ["data-i18n", (element, text) => void (element.textContent = text)],
  ["data-i18n-label", setLabel],
  ["data-i18n-region", (element, text) => element.setAttribute("aria-label", text)],
  ["data-i18n-group", (element, text) => element.setAttribute("aria-label", text)],
];
