// @ts-check
/** Dialogs: the browser traps the focus in them, closes them by Escape and gives the focus back. */

import { element, icon, make, setLabel } from "./dom.js";
import { t } from "./i18n.js";

/**
 * Open a dialog; it is gone when it is closed.
 * @param {string} title
 * @param {(Node | string)[]} body
 * @param {{foot?: Node[], isWide?: boolean}} [options]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, body, { foot = [], isWide = false } = {}) {
  const close = make("button", { type: "button", class: "button quiet small" }, icon("close"));
  setLabel(close, t("dialog.close"));
  const heading = make("h2", { id: "dialog-title", tabindex: -1 }, title);
  const dialog = make(
    "dialog",
    { "aria-labelledby": "dialog-title", class: isWide ? "is-wide" : "" },
    make("div", { class: "dialog-head" }, heading, close),
    make("div", { class: "dialog-body" }, ...body),
    foot.length > 0 && make("div", { class: "dialog-foot" }, ...foot),
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it, on the backdrop
  });
  element("dialogs").replaceChildren(dialog);
  dialog.showModal();
  return dialog;
}

/** Whether one is open. */
export const isDialogOpen = () => document.querySelector("dialog[open]") !== null;
