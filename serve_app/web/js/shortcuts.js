// @ts-check
/** Keys, IOPaint's where it has one, and the sheet that lists them. */

import { erase } from "./actions.js";
import { holdOriginal, toggleCompare } from "./compare.js";
import { element, make } from "./dom.js";
import { isDialogOpen, openDialog } from "./dialogs.js";
import { t } from "./i18n.js";
import { closeMenu } from "./mask_menu.js";
import { togglePanel } from "./panel.js";
import { closeReview, find } from "./regions.js";
import { cancel, isRunning } from "./run.js";
import { session } from "./session.js";
import { TOOLS, brushSize, drop, holdHand, setSize, setTool } from "./tools.js";
import { view } from "./view.js";

/** @typedef {{download: () => void, copy: () => void}} Deeds */

/** By how much a key changes the brush, as in IOPaint. */
const BRUSH_STEP = 10;
const IS_MAC = navigator.userAgent.includes("Mac");
const CTRL = IS_MAC ? "⌘" : "Ctrl";

/** What the sheet says: keys, and the words for what they do. */
const SHEET = /** @type {const} */ ([
  [["[", "]"], "keys.size"],
  [["Shift", "R"], "keys.run"],
  [["T"], "keys.text"],
  [[CTRL, "Z"], "keys.undo"],
  [[CTRL, "Shift", "Z"], "keys.redo"],
  [["Esc"], "keys.escape"],
  [["Space"], "keys.pan"],
  [["Tab"], "keys.original"],
  [["B"], "keys.compare"],
  [["1", "–", "5"], "keys.tools"],
  [["+", "−", "0"], "keys.zoom"],
  [[CTRL, "S"], "keys.save"],
  [[CTRL, "C"], "keys.copy"],
  [[CTRL, "V"], "keys.paste"],
  [["S"], "keys.settings"],
  [["H"], "keys.help"],
  [["← ↑ ↓ →"], "keys.pen"],
  [["Enter"], "keys.mark"],
]);

/** Whether the mouse, not the keyboard, is what is used: then Tab is IOPaint's, else it moves on. */
let byMouse = false;

/** @param {Deeds} deeds */
export function startShortcuts(deeds) {
  document.addEventListener("pointermove", (event) => {
    byMouse =
      event.pointerType === "mouse" &&
      element("board").contains(/** @type {Node} */ (event.target));
  });
  document.addEventListener("keydown", (event) => pressed(event, deeds));
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") holdHand(false);
    if (event.key === "Tab") holdOriginal(false);
  });
  window.addEventListener("blur", () => {
    holdHand(false);
    holdOriginal(false);
  });
}

export function openHelp() {
  const rows = SHEET.map(([keys, words]) =>
    make(
      "div",
      {},
      make("dt", {}, ...keys.map((key) => make("kbd", {}, key))),
      make("dd", {}, t(words)),
    ),
  );
  openDialog(
    t("keys.title"),
    [
      make("dl", { class: "keys is-two" }, ...rows),
      make("p", { class: "soft small-text" }, t("keys.note")),
    ],
    { isWide: true },
  );
}

/** @param {KeyboardEvent} event @param {Deeds} deeds */
function pressed(event, deeds) {
  if (isDialogOpen() || event.defaultPrevented) return;
  const isTyping =
    event.target instanceof HTMLElement &&
    event.target.matches(
      "textarea, select, input:not([type=range], [type=checkbox], [type=radio])",
    );
  if (event.key === "Escape") {
    escape();
    return;
  }
  if (isTyping) {
    if (
      event.key === "Enter" &&
      event.target instanceof HTMLElement &&
      event.target.id === "prompt"
    )
      erase();
    return;
  }
  const act = actionOf(event, deeds);
  if (!act) return;
  event.preventDefault();
  act();
}

/** One thing at a time. */
function escape() {
  if (closeMenu() || drop() || cancel()) return;
  closeReview();
}

/** @param {KeyboardEvent} event @param {Deeds} deeds @returns {(() => void) | null} */
function actionOf(event, deeds) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return withControl(key, event.shiftKey, deeds);
  if (event.altKey || !session.now) return key === "h" || key === "?" ? openHelp : null;
  const isOnControl =
    event.target instanceof HTMLElement && event.target.matches("button, input, a");
  if (key === " ") return isOnControl ? null : () => holdHand(true);
  if (key === "tab") return byMouse && !event.shiftKey ? () => holdOriginal(true) : null;
  if (event.shiftKey && key === "r") return isRunning() ? null : erase;
  /** @type {Record<string, () => void>} */
  const plain = {
    "[": () => setSize(brushSize() - BRUSH_STEP),
    "]": () => setSize(brushSize() + BRUSH_STEP),
    "+": () => view.zoom(1.25),
    "=": () => view.zoom(1.25),
    "-": () => view.zoom(0.8),
    0: () => view.fit(),
    b: toggleCompare,
    t: find,
    s: togglePanel,
    h: openHelp,
    "?": openHelp,
  };
  TOOLS.forEach((tool, at) => (plain[at + 1] = () => setTool(tool)));
  return plain[key] ?? null;
}

/** @param {string} key @param {boolean} isShifted @param {Deeds} deeds */
function withControl(key, isShifted, deeds) {
  if (!session.now || isRunning()) return null;
  if (key === "z") return isShifted ? () => session.redo() : () => session.undo();
  if (key === "y") return () => session.redo();
  if (key === "s") return deeds.download;
  if (key === "c" && String(getSelection()) === "") return deeds.copy;
  return null;
}
