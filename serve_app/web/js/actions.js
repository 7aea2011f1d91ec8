// @ts-check
/** Erasing, painting and removing text: from what is shown to the next picture of the history. */

import { findText, inpaint, inpaintInSteps, removeText } from "./api.js";
import { t } from "./i18n.js";
import { isMarked, maskPng } from "./mask.js";
import { models } from "./models.js";
import { announce, showNote } from "./notices.js";
import { readPicture } from "./pictures.js";
import { run, showStep } from "./run.js";
import { session } from "./session.js";
import { settings } from "./settings.js";

/** @typedef {import("./api.js").Made} Made */

/** Repaint what the mask marks, or with an extender what lies beyond the picture. */
export async function erase() {
  const moment = session.now;
  const card = models.chosen;
  if (!moment || !card) return;
  if (settings.frame !== "extender" && !isMarked()) {
    showNote(t("run.nothing_marked"));
    return;
  }
  const isPainting = card.kind === "diffusion";
  await run(t(isPainting ? "run.painting" : "run.erasing"), async (id, signal) => {
    const fields = {
      ...settings.forInpaint(),
      image: moment.entry.picture.blob,
      mask: await maskPng(),
    };
    const made = isPainting
      ? await inpaintInSteps(fields, id, signal, showStep)
      : await inpaint(fields, id, signal);
    const isExtended = settings.frame === "extender";
    await take(made, moment.entry, isExtended ? extension() : [0, 0]);
    if (isExtended) settings.set("use_extender", false); // it is done
    announce(t("run.done", { model: made.model }));
  });
  models.load().catch(() => {}); // what is loaded is another one now
}

/** The mask of the last run once more, on the picture as it is. */
export function eraseAgain() {
  if (session.lastStrokes.length === 0) return;
  session.setStrokes(session.lastStrokes);
  erase();
}

/**
 * Find text.
 * @param {number[][]} exclude boxes
 * @param {(answer: import("./api.js").TextAnswer) => Promise<void> | void} then
 */
export function lookForText(exclude, then) {
  const moment = session.now;
  if (!moment) return Promise.resolve();
  return run(t("text.looking"), async (id, signal) => {
    const fields = { ...textFields(exclude), image: moment.entry.picture.blob };
    await then(await findText(fields, id, signal));
  });
}

/** Erase all text but what lies in these boxes. @param {number[][]} exclude */
export function eraseText(exclude) {
  const moment = session.now;
  if (!moment) return Promise.resolve();
  return run(t("text.erasing"), async (id, signal) => {
    const fields = { ...textFields(exclude), image: moment.entry.picture.blob };
    const made = await removeText(fields, id, signal);
    await take(made, moment.entry, [0, 0]);
    if (made.remaining) showNote(t("text.remaining", { count: made.remaining }));
    announce(t("text.done"));
  });
}

/** @param {number[][]} exclude */
function textFields(exclude) {
  const fields = settings.forText(models.eraser);
  return exclude.length > 0 ? { ...fields, exclude: JSON.stringify(exclude) } : fields;
}

/**
 * @param {Made} made
 * @param {import("./session.js").Entry} from
 * @param {number[]} shift by how much the picture has grown to the left and above
 */
async function take(made, from, [left, top]) {
  const picture = await readPicture(made.blob, from.picture.name);
  const [x, y] = from.offset;
  session.addEntry({ picture, model: made.model, seed: made.seed, offset: [x + left, y + top] });
}

/** What the extender adds to the left and above. */
function extension() {
  const { extender_x: x, extender_y: y } = settings.values;
  return [Math.max(0, -Number(x)), Math.max(0, -Number(y))];
}
