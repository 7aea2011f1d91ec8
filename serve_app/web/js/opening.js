// @ts-check
/** Opening a picture: picked, dropped, pasted, photographed or drawn as a sample. */

import { takePhoto } from "./camera.js";
import { button, element, input, pick } from "./dom.js";
import { isDialogOpen } from "./dialogs.js";
import { t } from "./i18n.js";
import { announce, clearNotices, showError } from "./notices.js";
import { readPicture } from "./pictures.js";
import { isRunning } from "./run.js";
import { samplePicture } from "./sample.js";
import { session } from "./session.js";

/** @type {(files: File[]) => void} */
let onMany = () => {};

/** @param {(files: File[]) => void} listener gets several files that were dropped at once */
export function startOpening(listener) {
  onMany = listener;
  for (const id of ["open", "pick"]) {
    button(id).addEventListener("click", async () => openFiles(await pick(input("file-input"))));
  }
  button("camera").addEventListener("click", async () => {
    const photo = await takePhoto();
    if (photo) openFiles([photo]);
  });
  button("sample").addEventListener("click", async () => openFiles([await samplePicture()]));
  startDropping();
  document.addEventListener("paste", (event) => {
    if (isDialogOpen()) return;
    openFiles([...(event.clipboardData?.files ?? [])]);
  });
}

/** @param {File[]} files */
export async function openFiles(files) {
  if (files.length === 0 || isRunning()) return;
  if (files.length > 1) return onMany(files);
  try {
    const picture = await readPicture(files[0], files[0].name || "picture.png");
    clearNotices();
    session.open(picture);
    announce(
      t("stage.opened", { name: picture.name, width: picture.width, height: picture.height }),
    );
    element("board").focus({ preventScroll: true });
  } catch (error) {
    showError(error, null);
  }
}

function startDropping() {
  const veil = element("drop-veil");
  let inside = 0;
  const hasFiles = (/** @type {DragEvent} */ event) =>
    event.dataTransfer?.types.includes("Files") === true && !isDialogOpen();
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    inside++;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    if (inside === 0) veil.hidden = true;
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    veil.hidden = true;
    if (!isDialogOpen()) openFiles([...(event.dataTransfer?.files ?? [])]);
  });
}
