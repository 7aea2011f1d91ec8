// @ts-check
/** A picture to try things on, drawn here: hills, a pole that is in the way, and some writing. */

import { t } from "./i18n.js";
import { blobFrom, canvasOf } from "./pictures.js";

const [WIDTH, HEIGHT] = [1200, 800];
/** Of each range of hills: height of its ridge, how far it swings, and its colour. */
const RANGES = /** @type {const} */ ([
  [430, 70, "#8fa9b8"],
  [520, 55, "#5f8a86"],
  [610, 40, "#3f6f5c"],
  [700, 28, "#2c5343"],
]);

/** @returns {Promise<File>} */
export async function samplePicture() {
  const { canvas, context } = canvasOf(WIDTH, HEIGHT);
  const sky = context.createLinearGradient(0, 0, 0, HEIGHT * 0.7);
  sky.addColorStop(0, "#86b6d8");
  sky.addColorStop(0.6, "#f3d9b8");
  sky.addColorStop(1, "#f6b98a");
  context.fillStyle = sky;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.fillStyle = "#fff3d6";
  context.beginPath();
  context.arc(880, 250, 70, 0, 2 * Math.PI);
  context.fill();
  RANGES.forEach(([ridge, swing, colour], at) => hills(context, ridge, swing, colour, at));
  pole(context);
  context.fillStyle = "#ffffff";
  context.font = "600 64px Georgia, 'Times New Roman', serif";
  context.fillText(t("sample.title"), 70, 120);
  context.font = "400 30px Arial, Helvetica, sans-serif";
  context.fillText("© 2024 example.org", 880, 765);
  const blob = await blobFrom(canvas, "image/png");
  return new File([blob], "sample.png", { type: "image/png" });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} ridge
 * @param {number} swing
 * @param {string} colour
 * @param {number} at
 */
function hills(context, ridge, swing, colour, at) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(0, HEIGHT);
  for (let x = 0; x <= WIDTH; x += 4) {
    const long = Math.sin(x / (170 - 20 * at) + 1.9 * at);
    const short = Math.sin(x / 61 + 3 * at) / 4;
    context.lineTo(x, ridge - swing * (long + short));
  }
  context.lineTo(WIDTH, HEIGHT);
  context.fill();
}

/** @param {CanvasRenderingContext2D} context */
function pole(context) {
  context.strokeStyle = "#2b2a2a";
  context.lineWidth = 12;
  context.beginPath();
  context.moveTo(420, 250);
  context.lineTo(420, 720);
  context.stroke();
  context.lineWidth = 7;
  context.beginPath();
  context.moveTo(350, 300);
  context.lineTo(490, 300);
  context.stroke();
  context.lineWidth = 2.5;
  for (const drop of [30, 60]) {
    context.beginPath();
    context.moveTo(0, 270 + drop / 3);
    context.quadraticCurveTo(220, 330 + drop, 420, 297);
    context.quadraticCurveTo(760, 360 + drop, WIDTH, 240 + drop / 3);
    context.stroke();
  }
}
