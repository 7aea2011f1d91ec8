// @ts-check
/** Puts the parts together. */

import { startAccess } from "./access.js";
import { erase } from "./actions.js";
import { openBatch } from "./batch.js";
import { startCompare } from "./compare.js";
import { button, byId, element, save } from "./dom.js";
import { place, startFrames } from "./frames.js";
import { startHistory } from "./history.js";
import { onLanguage, startLanguage, switchLanguage, t } from "./i18n.js";
import { isMarked, resizeMask, showStrokes } from "./mask.js";
import { startMaskMenu } from "./mask_menu.js";
import { models, startModels } from "./models.js";
import { showError, showNote } from "./notices.js";
import { startOpening } from "./opening.js";
import { startPanel } from "./panel.js";
import { canvasOf, blobFrom, resultName } from "./pictures.js";
import { startRegions } from "./regions.js";
import { isRunning, startRuns } from "./run.js";
import { session } from "./session.js";
import { settings, startSettings } from "./settings.js";
import { openHelp, startShortcuts } from "./shortcuts.js";
import { switchTheme } from "./theme.js";
import { centrePen, lockTools, startTools } from "./tools.js";
import { startView, view } from "./view.js";

const shown = byId("picture", HTMLImageElement);

/** Show the session's present. */
function showMoment() {
  const now = session.now;
  document.body.classList.toggle("is-empty", !now);
  element("empty").hidden = now !== null;
  element("board").hidden = now === null;
  button("undo").disabled = !session.canUndo || isRunning();
  button("redo").disabled = !session.canRedo || isRunning();
  button("download").disabled = now === null;
  if (!now) return;
  const { picture } = now.entry;
  element("file-name").textContent = `${picture.name} · ${picture.width} × ${picture.height}`;
  if (shown.src !== picture.url) {
    shown.src = picture.url;
    const isOther = view.width !== picture.width || view.height !== picture.height;
    if (isOther) resizeMask(picture.width, picture.height);
    view.resize(picture.width, picture.height);
    if (isOther) {
      centrePen();
      place();
    }
  }
  showStrokes(now.strokes);
}

function showModel() {
  if (!models.chosen) return;
  settings.show(models.chosen);
  showRunLabel();
}

function showRunLabel() {
  const isPainting = models.chosen?.kind === "diffusion";
  element("run-label").textContent = t(isPainting ? "run.paint" : "run.erase");
}

/** Who had the focus when the run began: what is disabled loses it. @type {HTMLElement | null} */
let focused = null;

/** @param {boolean} running */
function showRunning(running) {
  document.body.classList.toggle("is-running", running);
  if (running) {
    focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  }
  for (const id of ["run", "find-text", "mask-menu-button", "open", "model"])
    button(id).disabled = running;
  lockTools(running);
  showMoment();
  const isLost = !document.activeElement?.checkVisibility() || document.activeElement === document.body;
  if (running && focused?.matches(":disabled")) button("cancel").focus();
  else if (!running && isLost) focused?.focus();
}

function download() {
  const now = session.now;
  if (!now) return;
  const { blob, name } = now.entry.picture;
  save(blob, resultName(name, blob, now.entry.model ? "-cleaned" : ""));
}

/** Clipboards take PNG only. */
async function copy() {
  try {
    const { canvas, context } = canvasOf(view.width, view.height);
    context.drawImage(shown, 0, 0);
    await navigator.clipboard.write([
      new ClipboardItem({ "image/png": blobFrom(canvas, "image/png") }),
    ]);
    showNote(t("stage.copied"));
  } catch (error) {
    showError(error, null);
  }
}

async function loadModels() {
  try {
    await models.load();
  } catch (error) {
    showError(error, loadModels);
  }
}

async function start() {
  await startLanguage();
  startAccess();
  startView();
  startTools(() => {
    if (settings.runsOnRelease && !isRunning() && isMarked()) erase();
  });
  startSettings();
  startPanel();
  startModels();
  startFrames();
  startRuns(showRunning);
  startHistory();
  startCompare();
  startMaskMenu();
  startOpening(openBatch);
  startRegions();
  startShortcuts({ download, copy });
  session.addEventListener("change", showMoment);
  models.addEventListener("change", showModel);
  onLanguage(() => {
    settings.render();
    showRunLabel();
  });
  button("undo").addEventListener("click", () => session.undo());
  button("redo").addEventListener("click", () => session.redo());
  button("run").addEventListener("click", erase);
  button("download").addEventListener("click", download);
  button("batch").addEventListener("click", () => openBatch());
  button("help").addEventListener("click", openHelp);
  button("language").addEventListener("click", switchLanguage);
  button("theme").addEventListener("click", switchTheme);
  await loadModels();
  document.body.dataset.ready = "";
}

await start();
