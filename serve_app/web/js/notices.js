// @ts-check
/** What went wrong and what to do about it; and words for screen readers. */

import { ApiError } from "./api.js";
import { element, icon, make, setLabel } from "./dom.js";
import { has, t } from "./i18n.js";
import { PictureError } from "./pictures.js";

const box = element("notices");
const status = element("status");

/** Say something to those who do not see it. @param {string} text */
export function announce(text) {
  status.textContent = "";
  requestAnimationFrame(() => (status.textContent = text));
}

export function clearNotices() {
  box.replaceChildren();
}

/**
 * Show a passing word of success.
 * @param {string} text
 */
export function showNote(text) {
  const note = notice("check", "", [make("p", {}, text)]);
  box.replaceChildren(note);
  setTimeout(() => note.remove(), 6000);
}

/**
 * Show an error: what it was, in the server's words, and what would help.
 * @param {unknown} error
 * @param {(() => void) | null} retry
 */
export function showError(error, retry) {
  const { title, detail } = wordsOf(error);
  const body = [make("p", { class: "notice-title" }, title)];
  if (detail) body.push(make("p", { class: "soft" }, detail));
  if (retry && isPassing(error)) {
    body.push(make("div", { class: "notice-actions" }, retryButton(retry, waitOf(error))));
  }
  box.replaceChildren(notice("alert", "is-bad", body));
}

/** @param {unknown} error @returns {{title: string, detail: string}} */
export function wordsOf(error) {
  if (error instanceof ApiError) {
    const key = `problem.${error.code}`;
    const title = has(key) ? t(key) : t("problem.other", { status: error.status });
    return { title, detail: error.message || (error.status ? "" : t("problem.unreachable.do")) };
  }
  if (error instanceof PictureError) {
    return { title: t("problem.picture"), detail: t("problem.picture.do") };
  }
  console.error(error);
  return { title: t("problem.page"), detail: String(error) };
}

/** @param {unknown} error */
export const isPassing = (error) =>
  error instanceof ApiError &&
  (error.status === 0 || error.status >= 429 || error.retryAfter !== null);

/** Seconds. @param {unknown} error @returns {number} */
export const waitOf = (error) => (error instanceof ApiError ? (error.retryAfter ?? 0) : 0);

/**
 * A button that counts down what the server asks to wait.
 * @param {() => void} retry
 * @param {number} seconds
 */
function retryButton(retry, seconds) {
  const button = make("button", { type: "button", class: "button" });
  const ready = Date.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.ceil((ready - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? t("problem.retry_in", { seconds: left }) : t("problem.retry");
    if (left > 0 && button.isConnected) setTimeout(tick, 250);
  };
  button.addEventListener("click", () => {
    clearNotices();
    retry();
  });
  queueMicrotask(tick);
  return button;
}

/** @param {string} symbol @param {string} kind @param {HTMLElement[]} body */
function notice(symbol, kind, body) {
  const close = make("button", { type: "button", class: "button quiet small" }, icon("close"));
  setLabel(close, t("dialog.close"));
  const made = make(
    "div",
    { class: `notice ${kind}` },
    icon(symbol),
    make("div", { class: "notice-body" }, ...body),
    close,
  );
  close.addEventListener("click", () => made.remove());
  return made;
}
