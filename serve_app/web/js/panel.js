// @ts-check
/** The panel at the side. */

import { button, element } from "./dom.js";
import { remember, remembered } from "./storage.js";

const NARROW = 900;
const panel = element("panel");

export function startPanel() {
  button("panel-toggle").addEventListener("click", togglePanel);
  button("panel-close").addEventListener("click", () => {
    togglePanel();
    button("panel-toggle").focus();
  });
  // On a phone the bar has no room for these.
  for (const stand of panel.querySelectorAll("[data-clicks]")) {
    stand.addEventListener("click", () => button(stand.getAttribute("data-clicks") ?? "").click());
  }
  showPanel(window.innerWidth > NARROW && remembered("panel", true));
}

export const isPanelOpen = () => !panel.hidden;

/** @param {boolean} isOpen */
export function showPanel(isOpen) {
  panel.hidden = !isOpen;
  button("panel-toggle").setAttribute("aria-expanded", String(isOpen));
}

export function togglePanel() {
  showPanel(panel.hidden === true);
  if (window.innerWidth > NARROW) remember("panel", !panel.hidden);
  if (!panel.hidden && window.innerWidth <= NARROW) button("panel-close").focus();
}
