// @ts-check
/** Before and after: a slider between the opened picture and the one that is shown. */

import { button, byId, element, fillTrack, input } from "./dom.js";
import { session } from "./session.js";
import { view } from "./view.js";

const before = byId("before", HTMLImageElement);
const range = input("compare-range");
const toggle = button("compare");
let isOn = false;
/** The original as a whole, for as long as a key is held. */
let isHeld = false;

export function startCompare() {
  toggle.addEventListener("click", toggleCompare);
  range.addEventListener("input", show);
  view.addEventListener("move", show);
  session.addEventListener("change", changed);
  element("split").addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    element("split").setPointerCapture(event.pointerId);
  });
  element("split").addEventListener("pointermove", (event) => {
    if (event.buttons === 1) follow(event.clientX);
  });
}

export function toggleCompare() {
  if (toggle.disabled) return;
  isOn = !isOn;
  show();
  if (isOn) range.focus();
}

/** Show the original alone. @param {boolean} held */
export function holdOriginal(held) {
  if (isHeld === held || toggle.disabled) return;
  isHeld = held;
  show();
}

/** @param {number} x of the screen */
function follow(x) {
  const [place] = view.toPicture(x, 0);
  range.value = String((100 * place) / view.width);
  show();
}

function changed() {
  const { entries, now } = session;
  const first = entries[0];
  toggle.disabled = !now || now.entry === first;
  if (toggle.disabled) isOn = isHeld = false;
  if (first && before.src !== first.picture.url) before.src = first.picture.url;
  if (now) {
    const [left, top] = now.entry.offset;
    before.style.left = `${left}px`;
    before.style.top = `${top}px`;
  }
  show();
}

function show() {
  const now = session.now;
  const isShown = isOn || isHeld;
  toggle.setAttribute("aria-pressed", String(isOn));
  element("compare-box").hidden = !isOn;
  document.body.classList.toggle("is-comparing", isShown);
  before.hidden = !isShown;
  element("split").hidden = !isOn || isHeld;
  fillTrack(range);
  if (!isShown || !now) return;
  const [left] = now.entry.offset;
  const at = isHeld ? Infinity : (view.width * Number(range.value)) / 100;
  const { width } = session.entries[0].picture;
  const hidden = Math.min(width, Math.max(0, left + width - at));
  before.style.clipPath = `inset(0 ${hidden}px 0 0)`;
  element("split").style.transform = `translateX(${view.left + at * view.scale - 1}px)`;
}
