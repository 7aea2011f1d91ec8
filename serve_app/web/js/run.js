// @ts-check
/** One request at a time, with progress, cancelling and what follows from its end. */

import { cancelRequest, newRequestId } from "./api.js";
import { button, byId, element } from "./dom.js";
import { t } from "./i18n.js";
import { announce, clearNotices, showError } from "./notices.js";

const PREVIEW = byId("progress-preview", HTMLImageElement);
/** Steps are told to screen readers at each so many per cent. */
const TELL_EVERY = 25;

/** @type {{id: string, abort: AbortController} | null} */
let running = null;
let told = 0;
/** @type {(isRunning: boolean) => void} */
let onState = () => {};

/** @param {(isRunning: boolean) => void} listener */
export function startRuns(listener) {
  onState = listener;
  button("cancel").addEventListener("click", cancel);
}

export const isRunning = () => running !== null;

/**
 * Do one thing, unless another one runs.
 * @param {string} words what it is
 * @param {(id: string, signal: AbortSignal) => Promise<void>} work
 */
export async function run(words, work) {
  if (running) return;
  const mine = { id: newRequestId(), abort: new AbortController() };
  running = mine;
  clearNotices();
  showProgress(words);
  announce(words);
  onState(true);
  try {
    await work(mine.id, mine.abort.signal);
  } catch (error) {
    if (mine.abort.signal.aborted) announce(t("run.cancelled"));
    else showError(error, () => run(words, work));
  } finally {
    running = null;
    element("progress").hidden = true;
    onState(false);
  }
}

/** End what runs. @returns {boolean} whether something did */
export function cancel() {
  if (!running) return false;
  const { id, abort } = running;
  abort.abort();
  cancelRequest(id).catch(() => {}); // hanging up ends it as well
  return true;
}

/** @param {import("./api.js").StepEvent | null} step null: it begins anew */
export function showStep(step) {
  const bar = element("progress-bar");
  const percent = step ? Math.round((100 * step.step) / step.total) : 0;
  const words = step ? t("run.step", { step: step.step, total: step.total }) : t("run.restarted");
  bar.setAttribute("aria-valuenow", String(percent));
  bar.style.setProperty("--done", `${percent}%`);
  element("progress-text").textContent = words;
  if (percent >= told + TELL_EVERY || !step) {
    told = percent - (percent % TELL_EVERY);
    announce(words);
  }
  if (step?.preview) showPreview(step.preview);
}

/** @param {string} base64 of a JPEG */
function showPreview(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  PREVIEW.onload = PREVIEW.onerror = () => URL.revokeObjectURL(url);
  PREVIEW.src = url;
  PREVIEW.hidden = false;
}

/** @param {string} words */
function showProgress(words) {
  const bar = element("progress-bar");
  told = 0;
  bar.removeAttribute("aria-valuenow");
  bar.style.removeProperty("--done");
  element("progress-text").textContent = words;
  PREVIEW.hidden = true;
  element("progress").hidden = false;
}
