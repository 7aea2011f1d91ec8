// @ts-check
/** The strip of pictures so far. */

import { element, make } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { session } from "./session.js";

const THUMB_PX = 112;
/**
 * A small copy of each picture, so that large ones are not kept decoded.
 * @type {WeakMap<import("./pictures.js").Picture, HTMLCanvasElement>}
 */
const thumbs = new WeakMap();

export function startHistory() {
  session.addEventListener("change", show);
  onLanguage(show);
}

function show() {
  const { entries, now } = session;
  element("history").hidden = entries.length < 2;
  element("history-list").replaceChildren(
    ...entries.map((entry, at) => {
      const words =
        at === 0 ? t("history.first") : t("history.entry", { number: at, model: entry.model });
      const choose = make("button", {
        type: "button",
        class: "moment",
        "aria-label": words,
        "aria-current": now?.entry === entry ? "true" : null,
        onclick: () => session.goTo(entry),
      });
      const known = thumbs.get(entry.picture);
      if (known) choose.append(known);
      else
        drawThumb(entry.picture)
          .then((made) => choose.append(made))
          .catch(() => {});
      return make("li", {}, choose);
    }),
  );
}

/** @param {import("./pictures.js").Picture} picture */
async function drawThumb(picture) {
  const scale = THUMB_PX / Math.min(picture.width, picture.height);
  const small = await createImageBitmap(picture.blob, {
    resizeWidth: Math.max(1, Math.round(picture.width * scale)),
    resizeHeight: Math.max(1, Math.round(picture.height * scale)),
    resizeQuality: "medium",
  });
  const canvas = make("canvas", { width: small.width, height: small.height });
  canvas.getContext("2d")?.drawImage(small, 0, 0);
  small.close();
  thumbs.set(picture, canvas);
  return canvas;
}
