// @ts-check
/** The question for an API key, where the server wants one. */

import { onKeyNeeded } from "./api.js";
import { make } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { t } from "./i18n.js";
import { storeKey, storedKey } from "./storage.js";

/** Requests that wait for one answer. @type {Promise<boolean> | null} */
let asking = null;

export function startAccess() {
  onKeyNeeded(() => {
    asking ??= ask().finally(() => (asking = null));
    return asking;
  });
}

/** @returns {Promise<boolean>} whether there is a key to try */
function ask() {
  const field = make("input", {
    type: "password",
    class: "input",
    id: "api-key",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
  });
  const wrong =
    storedKey() !== "" && make("p", { class: "field-help", role: "alert" }, t("key.wrong"));
  const form = make(
    "form",
    { class: "field", id: "key-form" },
    make("label", { for: "api-key" }, t("key.label")),
    field,
    wrong,
    make("p", { class: "field-help" }, t("key.help")),
  );
  const send = make(
    "button",
    { type: "submit", form: "key-form", class: "button primary" },
    t("key.send"),
  );
  const dialog = openDialog(t("key.title"), [form], { foot: [send] });
  field.focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault(); // nothing is sent by the form: the key goes along with requests
      storeKey(field.value.trim());
      resolve(true);
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(false));
  });
}
