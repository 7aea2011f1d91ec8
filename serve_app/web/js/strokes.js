// @ts-check
/** What a mask is made of: strokes, kept as they were drawn, so that each can be undone. */

/**
 * @typedef {{kind: "path", erase: boolean, size: number, points: number[]}} Path x, y, x, y, ...
 * @typedef {{kind: "area", erase: boolean, points: number[]}} Area a filled outline
 * @typedef {{kind: "bitmap", canvas: HTMLCanvasElement | null}} Bitmap replaces all; null: nothing
 * @typedef {Path | Area | Bitmap} Stroke
 */

/** A rectangle's outline. @param {number[]} from @param {number[]} to @returns {number[]} */
export const rectangle = ([x, y], [x2, y2]) => [x, y, x2, y, x2, y2, x, y2];

/**
 * @param {CanvasRenderingContext2D} context of a canvas in the picture's size
 * @param {Stroke} stroke
 * @param {string} colour
 */
export function draw(context, stroke, colour) {
  if (stroke.kind === "bitmap") {
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (stroke.canvas) context.drawImage(stroke.canvas, 0, 0);
    return;
  }
  context.save();
  context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
  context.fillStyle = context.strokeStyle = colour;
  const path = outline(stroke.points);
  if (stroke.kind === "area") {
    path.closePath();
    context.fill(path);
  } else if (isDot(stroke.points)) {
    const dot = new Path2D(); // a line without a length may not be drawn at all
    dot.arc(stroke.points[0], stroke.points[1], stroke.size / 2, 0, 2 * Math.PI);
    context.fill(dot);
  } else {
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = stroke.size;
    context.stroke(path);
  }
  context.restore();
}

/**
 * What a stroke has become longer by, for drawing while the pointer moves.
 * @param {Path} stroke
 * @param {number} from how many numbers of its points were there before
 * @returns {Path}
 */
export const tail = (stroke, from) => ({
  ...stroke,
  points: stroke.points.slice(Math.max(0, from - 2)),
});

/** @param {number[]} points */
const isDot = (points) => points.every((value, at) => value === points[at % 2]);

/** @param {number[]} points @returns {Path2D} */
function outline(points) {
  const path = new Path2D();
  path.moveTo(points[0], points[1]);
  for (let at = 2; at < points.length; at += 2) path.lineTo(points[at], points[at + 1]);
  return path;
}
