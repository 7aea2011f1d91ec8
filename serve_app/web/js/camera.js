// @ts-check
/** A photo from the camera: in a dialog, or by the phone's own camera where a page may not have it. */

import { icon, make, pick } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { t } from "./i18n.js";
import { blobFrom, canvasOf } from "./pictures.js";

const QUALITY = 0.95;
const WANTED = { video: { facingMode: "environment", width: { ideal: 4096 } } };

/** @returns {Promise<File | null>} */
export async function takePhoto() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(WANTED);
  } catch {
    // Refused, no camera, or no https: a phone opens its camera for this, a computer its files.
    const [file] = await pick(
      make("input", { type: "file", accept: "image/*", capture: "environment" }),
    );
    return file ?? null;
  }
  try {
    return await inDialog(stream);
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

/** @param {MediaStream} stream @returns {Promise<File | null>} */
function inDialog(stream) {
  const video = make("video", {
    class: "camera-view",
    autoplay: true,
    playsinline: true,
    muted: true,
    "aria-label": t("camera.view"),
  });
  video.srcObject = stream;
  const shoot = make(
    "button",
    { type: "button", class: "button primary large" },
    icon("camera"),
    t("camera.shoot"),
  );
  const dialog = openDialog(t("empty.camera"), [video], { foot: [shoot] });
  return new Promise((resolve) => {
    shoot.addEventListener("click", async () => {
      const { canvas, context } = canvasOf(video.videoWidth, video.videoHeight);
      context.drawImage(video, 0, 0);
      const blob = await blobFrom(canvas, "image/jpeg", QUALITY);
      resolve(new File([blob], "photo.jpg", { type: blob.type }));
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(null));
  });
}
