// @ts-check
/** Picture files: their very bytes, and the size at which they are seen. */

/**
 * @typedef {object} Picture
 * @property {Blob} blob what was opened or answered, untouched
 * @property {string} name
 * @property {string} url of the blob, for <img>
 * @property {number} width upright, as EXIF says; the server's masks have this size
 * @property {number} height
 */

/** A file that this browser cannot show. */
export class PictureError extends Error {}

/** @type {Record<string, string>} */
const ENDINGS = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
  "image/bmp": "bmp",
  "image/tiff": "tiff",
  "image/gif": "gif",
};

/**
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<Picture>}
 * @throws {PictureError} it is none that this browser knows
 */
export async function readPicture(blob, name) {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new PictureError(name);
  }
  return { blob, name, url, width: image.naturalWidth, height: image.naturalHeight };
}

/** A picture is no longer shown. @param {Picture} picture */
export const release = (picture) => URL.revokeObjectURL(picture.url);

/**
 * What a result is called on disk: the name it came with, and the ending of what it is.
 * @param {string} name
 * @param {Blob} blob
 * @param {string} [suffix]
 * @returns {string}
 */
export function resultName(name, blob, suffix = "") {
  const stem = name.replace(/\.[A-Za-z0-9]{1,5}$/, "") || "picture";
  const given = name.match(/\.([A-Za-z0-9]{1,5})$/)?.[1] ?? "";
  const ending = ENDINGS[blob.type] ?? given;
  const same = ending === "jpg" && /^jpe?g$/i.test(given) ? given : ending;
  return `${stem}${suffix}.${same || "png"}`;
}

/** @param {number} width @param {number} height */
export function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no 2d context");
  return { canvas, context };
}

/** @param {HTMLCanvasElement} canvas @param {string} type @param {number} [quality] */
export function blobFrom(canvas, type, quality) {
  return new Promise((/** @type {(blob: Blob) => void} */ resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new PictureError("canvas"))),
      type,
      quality,
    );
  });
}
