// @ts-check
/** Many pictures, one job: an erased mask or removed text, handed out as a zip. */

import { cancelRequest, inpaint, newRequestId, removeText } from "./api.js";
import { openDialog } from "./dialogs.js";
import { icon, make, pick, save } from "./dom.js";
import { t } from "./i18n.js";
import { isMarked, maskPng } from "./mask.js";
import { models } from "./models.js";
import { announce, isPassing, waitOf, wordsOf } from "./notices.js";
import { blobFrom, canvasOf, readPicture, release, resultName } from "./pictures.js";
import { session } from "./session.js";
import { settings } from "./settings.js";
import { zip } from "./zip.js";

/** @typedef {{file: File, row: HTMLElement, state: HTMLElement, made: Blob | null}} Job */

const AT_ONCE = 2;
const TRIES = 8;
const WAIT_S = 2;

/** @param {File[]} [given] */
export function openBatch(given = []) {
  /** @type {Job[]} */
  const jobs = [];
  /** @type {Blob | null} */
  let mask = null;
  let abort = new AbortController();

  const list = make("div", { role: "list", "aria-label": t("batch.files") });
  const picker = make("input", { type: "file", accept: "image/*", multiple: true, hidden: true });
  const maskPicker = make("input", { type: "file", accept: "image/*", hidden: true });
  const byText = radio("text", t("batch.text"), t("batch.text.help"), true);
  const byMask = radio("mask", t("batch.mask"), t("batch.mask.help"), false);
  const useCanvas = make(
    "button",
    { type: "button", class: "button", disabled: !session.now || !isMarked() },
    icon("mask"),
    t("batch.mask.canvas"),
  );
  const useFile = make(
    "button",
    { type: "button", class: "button" },
    icon("upload"),
    t("batch.mask.file"),
  );
  const maskName = make("p", { class: "soft small-text", role: "status" }, t("batch.mask.missing"));
  const maskRow = make(
    "div",
    { class: "field", hidden: true },
    make("div", { class: "row" }, useCanvas, useFile),
    maskName,
  );
  const add = make("button", { type: "button", class: "button" }, icon("open"), t("batch.add"));
  const start = make(
    "button",
    { type: "button", class: "button primary" },
    icon("wand"),
    t("batch.start"),
  );
  const stop = make("button", { type: "button", class: "button", hidden: true }, t("run.cancel"));
  const fetchZip = make(
    "button",
    { type: "button", class: "button primary", hidden: true },
    icon("download"),
    t("batch.zip"),
  );
  const summary = make("p", { role: "status", class: "soft" });

  const dialog = openDialog(
    t("batch.title"),
    [
      make(
        "div",
        { class: "row", role: "radiogroup", "aria-label": t("batch.job") },
        byText.label,
        byMask.label,
      ),
      maskRow,
      make("div", { class: "drop-here" }, make("p", { class: "soft" }, t("batch.drop")), add),
      picker,
      maskPicker,
      list,
      summary,
    ],
    { foot: [stop, start, fetchZip], isWide: true },
  );

  const addFiles = (/** @type {File[]} */ files) => {
    for (const file of files) {
      const state = make("span", { class: "job-state" }, t("batch.waiting"));
      const row = make(
        "div",
        { class: "job", role: "listitem" },
        make("span", {}, file.name),
        state,
      );
      list.append(row);
      jobs.push({ file, row, state, made: null });
    }
    refresh();
  };
  const refresh = () => {
    maskRow.hidden = !byMask.box.checked;
    const isReady = jobs.some(({ made }) => !made) && (byText.box.checked || mask !== null);
    start.disabled = !isReady;
    fetchZip.hidden = !jobs.some(({ made }) => made);
  };
  const takeMask = (/** @type {Blob} */ blob, /** @type {string} */ words) => {
    mask = blob;
    maskName.textContent = words;
    refresh();
  };

  add.addEventListener("click", async () => addFiles(await pick(picker)));
  for (const { box } of [byText, byMask]) box.addEventListener("change", refresh);
  useCanvas.addEventListener("click", async () =>
    takeMask(await maskPng(), t("batch.mask.from_canvas")),
  );
  useFile.addEventListener("click", async () => {
    const [file] = await pick(maskPicker);
    if (file) takeMask(file, file.name);
  });
  dialog.addEventListener("dragover", (event) => event.preventDefault());
  dialog.addEventListener("drop", (event) => {
    event.preventDefault();
    addFiles([...(event.dataTransfer?.files ?? [])]);
  });
  dialog.addEventListener("close", () => abort.abort());
  stop.addEventListener("click", () => abort.abort());
  fetchZip.addEventListener("click", async () =>
    save(await zip(named(jobs)), "inpaint-results.zip"),
  );
  start.addEventListener("click", async () => {
    abort = new AbortController();
    start.hidden = add.disabled = true;
    stop.hidden = false;
    const work = byText.box.checked ? null : mask;
    await inTurns(
      jobs.filter(({ made }) => !made),
      (job) => runJob(job, work, abort.signal),
      abort.signal,
    );
    const done = jobs.filter(({ made }) => made).length;
    summary.textContent = t("batch.summary", { done, count: jobs.length });
    announce(summary.textContent);
    stop.hidden = true;
    start.hidden = done === jobs.length;
    add.disabled = false;
    refresh();
  });
  addFiles(given);
}

/** @param {string} value @param {string} words @param {string} help @param {boolean} checked */
function radio(value, words, help, checked) {
  const box = make("input", { type: "radio", class: "tick", name: "batch-job", value, checked });
  return {
    box,
    label: make(
      "label",
      { class: "choice" },
      box,
      make("span", {}, words),
      make("small", {}, help),
    ),
  };
}

/**
 * A few at a time.
 * @param {Job[]} jobs
 * @param {(job: Job) => Promise<void>} work
 * @param {AbortSignal} signal
 */
async function inTurns(jobs, work, signal) {
  const waiting = [...jobs];
  const worker = async () => {
    for (let job = waiting.shift(); job && !signal.aborted; job = waiting.shift()) await work(job);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** @param {Job} job @param {Blob | null} mask null: the text @param {AbortSignal} signal */
async function runJob(job, mask, signal) {
  job.row.className = "job";
  job.row.querySelector("small")?.remove();
  job.state.textContent = t("batch.running");
  try {
    job.made = await patiently(() => answerFor(job.file, mask, signal), signal);
    job.row.classList.add("is-done");
    job.state.textContent = t("batch.done");
  } catch (error) {
    if (signal.aborted) {
      job.state.textContent = t("batch.waiting");
      return;
    }
    const { title, detail } = wordsOf(error);
    job.row.classList.add("is-failed");
    job.state.textContent = t("batch.failed");
    job.row.append(make("small", {}, `${title} ${detail}`));
  }
}

/** @param {File} file @param {Blob | null} mask @param {AbortSignal} signal */
async function answerFor(file, mask, signal) {
  const id = newRequestId();
  const end = () => cancelRequest(id).catch(() => {});
  signal.addEventListener("abort", end);
  try {
    if (!mask) {
      const fields = { ...settings.forText(models.eraser), image: file };
      return (await removeText(fields, id, signal)).blob;
    }
    const fields = { ...settings.forInpaint(), image: file, mask: await fitted(mask, file) };
    return (await inpaint(fields, id, signal)).blob;
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** The mask in a picture's size, without new greys. @param {Blob} mask @param {File} file */
async function fitted(mask, file) {
  const picture = await readPicture(file, file.name);
  release(picture);
  const source = await createImageBitmap(mask);
  const { canvas, context } = canvasOf(picture.width, picture.height);
  context.fillRect(0, 0, picture.width, picture.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(source, 0, 0, picture.width, picture.height);
  source.close();
  return blobFrom(canvas, "image/png");
}

/**
 * Ask again while the server is busy, when it says.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
async function patiently(attempt, signal) {
  for (let left = TRIES; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || left <= 1 || !isPassing(error) || waitOf(error) === 0) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, 1000 * Math.max(WAIT_S, waitOf(error)));
        signal.addEventListener("abort", resolve, { once: true });
      });
      signal.throwIfAborted();
    }
  }
}

/** The finished ones; no two have the same name. @param {Job[]} jobs */
function named(jobs) {
  const taken = new Set();
  return jobs.flatMap(({ file, made }) => {
    if (!made) return [];
    let name = resultName(file.name, made);
    for (let number = 2; taken.has(name); number++)
      name = resultName(file.name, made, `-${number}`);
    taken.add(name);
    return [{ name, blob: made }];
  });
}
