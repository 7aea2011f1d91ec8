// @ts-check
/** The text that was found: each line can be switched off before anything is erased. */

import { blobOf } from "./api.js";
import { eraseText, lookForText } from "./actions.js";
import { button, byId, element, make, shape } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { maskFrom } from "./mask.js";
import { announce, showNote } from "./notices.js";
import { isPanelOpen, showPanel } from "./panel.js";
import { session } from "./session.js";
import { lockTools } from "./tools.js";

/** @typedef {import("./api.js").Region} Region */

const REMOVED = "removed";
const layer = byId("overlay-regions", SVGGElement);
/** @type {{region: Region, isOn: boolean}[]} */
let found = [];
let isOpen = false;
let hadPanel = false;

export function startRegions() {
  button("find-text").addEventListener("click", find);
  button("review-all").addEventListener("click", () => setAll(true));
  button("review-none").addEventListener("click", () => setAll(false));
  button("review-cancel").addEventListener("click", closeReview);
  button("review-run").addEventListener("click", eraseChosen);
  button("review-mask").addEventListener("click", asMask);
  session.addEventListener("change", closeReview);
  onLanguage(show);
}

export const isReviewing = () => isOpen;

/** @returns {boolean} whether it was open */
export function closeReview() {
  if (!isOpen) return false;
  isOpen = false;
  const hadFocus = element("review").contains(document.activeElement);
  element("board").classList.remove("is-review");
  lockTools(false);
  show();
  showPanel(hadPanel);
  if (hadFocus) button("find-text").focus();
  return true;
}

/** Find text and show where it is. */
export function find() {
  if (isOpen) return Promise.resolve();
  return lookForText([], (answer) => {
    // What a rule of the settings keeps is shown, but not chosen.
    found = answer.regions.map((region) => ({ region, isOn: region.fate === REMOVED }));
    if (found.length === 0) {
      showNote(t("text.nothing"));
      announce(t("text.nothing"));
      return;
    }
    isOpen = true;
    hadPanel = isPanelOpen();
    element("board").classList.add("is-review");
    lockTools(true);
    show();
    if (window.innerWidth > 900) showPanel(true);
    announce(t("text.count", { count: found.length }));
    queueMicrotask(() => button("review-run").focus({ preventScroll: true }));
  });
}

function eraseChosen() {
  const exclude = excluded();
  if (!found.some(({ isOn }) => isOn)) {
    showNote(t("text.none_chosen"));
    return;
  }
  eraseText(exclude);
}

/** The chosen lines as a mask, to be changed by hand. */
function asMask() {
  return lookForText(excluded(), async (answer) => {
    const stroke = await maskFrom(blobOf(answer.mask, "image/png"));
    closeReview();
    session.setStrokes([stroke]);
  });
}

/**
 * Boxes around the centres of the lines that stay: the server keeps a line whose centre, the mean of
 * its corners, lies in one. A pixel around it is room for the rounding of what we were told.
 */
function excluded() {
  return found
    .filter(({ isOn }) => !isOn)
    .map(({ region: { polygon } }) => {
      const mean = (/** @type {0 | 1} */ axis) =>
        polygon.reduce((sum, corner) => sum + corner[axis], 0) / polygon.length;
      return [Math.floor(mean(0)) - 1, Math.floor(mean(1)) - 1, 3, 3];
    });
}

/** @param {boolean} isOn */
function setAll(isOn) {
  for (const entry of found) entry.isOn = isOn;
  show();
}

/** @param {number} at @param {boolean} isOn */
function set(at, isOn) {
  found[at].isOn = isOn;
  layer.children[at]?.classList.toggle("is-on", isOn);
  const box = element("region-list").children[at]?.querySelector("input");
  if (box) box.checked = isOn;
  showCount();
}

function show() {
  element("review").hidden = element("regions").hidden = !isOpen;
  element("toolbar").hidden = isOpen;
  element("panel-title").textContent = t(isOpen ? "text.review" : "panel.label");
  element("settings").hidden = element("model-facts").hidden = isOpen;
  layer.replaceChildren(...(isOpen ? found.map(outline) : []));
  element("region-list").replaceChildren(...(isOpen ? found.map(row) : []));
  if (isOpen) showCount();
}

function showCount() {
  const chosen = found.filter(({ isOn }) => isOn).length;
  element("review-count").textContent = t("text.chosen", { chosen, count: found.length });
  button("review-run").disabled = button("review-mask").disabled = chosen === 0;
}

/** @param {{region: Region, isOn: boolean}} entry @param {number} at */
function outline({ region, isOn }, at) {
  const made = shape("polygon", {
    class: isOn ? "region-shape is-on" : "region-shape",
    points: region.polygon.flat().join(" "),
  });
  made.addEventListener("click", () => set(at, !found[at].isOn));
  return made;
}

/** @param {{region: Region, isOn: boolean}} entry @param {number} at */
function row({ region, isOn }, at) {
  const id = `region-${at}`;
  const box = make("input", { type: "checkbox", class: "tick", id, checked: isOn });
  const hover = (/** @type {boolean} */ on) =>
    layer.children[at]?.classList.toggle("is-hovered", on);
  box.addEventListener("change", () => set(at, box.checked));
  box.addEventListener("focus", () => hover(true));
  box.addEventListener("blur", () => hover(false));
  const score = `${Math.round(100 * region.score)}%`;
  return make(
    "li",
    { onpointerenter: () => hover(true), onpointerleave: () => hover(false) },
    make(
      "label",
      { class: "region", for: id },
      box,
      make("span", { class: "region-text" }, region.text || t("text.unread")),
      make("span", { class: "soft number" }, score),
    ),
  );
}
