// @ts-check
/** What can be done with the mask as a whole. */

import { eraseAgain } from "./actions.js";
import { button, element, icon, input, make, pick, save } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { changedMask, isMarked, maskFrom, maskPng } from "./mask.js";
import { announce, showError } from "./notices.js";
import { PictureError, resultName } from "./pictures.js";
import { session } from "./session.js";

const RADIUS = 6;
/** By how much a mask grows or shrinks at a time; IOPaint's kernel of 12 px reaches as far. */

const opener = button("mask-menu-button");
const menu = element("mask-menu");

/** @type {readonly [string, string, () => unknown][]} icon, words, deed */
const ITEMS = [
  ["upload", "mask.upload", upload],
  ["download", "mask.download", download],
  ["grow", "mask.grow", () => change("grow")],
  ["shrink", "mask.shrink", () => change("shrink")],
  ["invert", "mask.invert", () => change("invert")],
  ["again", "mask.again", eraseAgain],
  ["clear", "mask.clear", () => session.setStrokes([])],
];
const WANTS_MASK = new Set(["mask.download", "mask.grow", "mask.shrink", "mask.clear"]);

export function startMaskMenu() {
  opener.addEventListener("click", () => (menu.hidden ? openMenu() : closeMenu()));
  menu.addEventListener("keydown", moveFocus);
  document.addEventListener("pointerdown", (event) => {
    const target = /** @type {Node} */ (event.target);
    if (!menu.contains(target) && !opener.contains(target)) closeMenu();
  });
  onLanguage(fill);
  fill();
}

/** @returns {boolean} whether it was open */
export function closeMenu() {
  if (menu.hidden) return false;
  menu.hidden = true;
  opener.setAttribute("aria-expanded", "false");
  return true;
}

function openMenu() {
  const hasMask = isMarked();
  for (const item of items()) {
    const key = item.dataset.key ?? "";
    item.disabled =
      key === "mask.again" ? session.lastStrokes.length === 0 : WANTS_MASK.has(key) && !hasMask;
  }
  menu.hidden = false;
  opener.setAttribute("aria-expanded", "true");
  items()
    .find((item) => !item.disabled)
    ?.focus();
}

function fill() {
  menu.replaceChildren(
    ...ITEMS.map(([symbol, key, act]) =>
      make(
        "button",
        {
          type: "button",
          class: "menu-item",
          role: "menuitem",
          tabindex: -1,
          "data-key": key,
          onclick: () => {
            closeMenu();
            opener.focus();
            act();
          },
        },
        icon(symbol),
        t(key),
      ),
    ),
  );
}

const items = () => [...menu.querySelectorAll("button")];

/** @param {KeyboardEvent} event */
function moveFocus(event) {
  const usable = items().filter((item) => !item.disabled);
  const at = usable.findIndex((item) => item === document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab") closeMenu();
  if (event.key === "Escape") {
    event.stopPropagation();
    closeMenu();
    opener.focus();
  }
  if (to === undefined) return;
  event.preventDefault();
  usable.at(to % usable.length)?.focus();
}

async function upload() {
  const [file] = await pick(input("mask-input"));
  if (!file) return;
  try {
    session.setStrokes([await maskFrom(file)]);
    announce(t("mask.uploaded"));
  } catch {
    showError(new PictureError(file.name), null);
  }
}

async function download() {
  const moment = session.now;
  if (!moment) return;
  const blob = await maskPng();
  save(blob, resultName(moment.entry.picture.name, blob, "-mask"));
}

/** @param {"grow" | "shrink" | "invert"} how */
function change(how) {
  session.setStrokes([changedMask(how, RADIUS)]);
  announce(t("mask.changed"));
}
