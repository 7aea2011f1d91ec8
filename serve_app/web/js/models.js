// @ts-check
/** The models: which is chosen, and the menu to choose from. */

import { getModels, makeDefault } from "./api.js";
import { button, element, icon, make } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { has, onLanguage, t } from "./i18n.js";
import { announce, showError, showNote } from "./notices.js";
import { remember, remembered } from "./storage.js";

/** @typedef {import("./api.js").ModelCard} ModelCard */

const POLL_MS = 3000;
/** @type {readonly import("./api.js").State[]} */
const READY = ["loaded", "downloaded"];

/** Tells "change" when another model is chosen, and "list" when the server's list is new. */
class Models extends EventTarget {
  /** @type {ModelCard[]} */
  list = [];
  /** Who answers requests without a name. */
  default = "";
  /** @type {ModelCard | null} */
  chosen = null;

  async load() {
    const { default: first, models } = await getModels();
    this.list = models.filter(({ kind }) => kind !== "ocr");
    this.default = first;
    const wanted = this.chosen?.name ?? remembered("model", "");
    const found = this.#named(wanted) ?? this.#named(first) ?? this.list[0] ?? null;
    const isOther = found?.name !== this.chosen?.name;
    this.chosen = found;
    this.dispatchEvent(new Event("list"));
    if (isOther) this.dispatchEvent(new Event("change"));
  }

  /** @param {ModelCard} card */
  choose(card) {
    this.chosen = card;
    remember("model", card.name);
    this.dispatchEvent(new Event("change"));
  }

  /** Who erases text: the chosen one unless it wants a prompt. @returns {ModelCard | null} */
  get eraser() {
    if (this.chosen?.kind === "erase") return this.chosen;
    const erasers = this.list.filter(({ kind }) => kind === "erase");
    const isReady = (/** @type {ModelCard} */ card) => card.available && READY.includes(card.state);
    const standard = erasers.find(({ name }) => name === this.default);
    return (standard && isReady(standard) ? standard : erasers.find(isReady)) ?? standard ?? null;
  }

  /** @param {string} name */
  #named(name) {
    return this.list.find((card) => card.name === name);
  }
}

export const models = new Models();

export function startModels() {
  button("model").addEventListener("click", openMenu);
  for (const event of ["change", "list"]) models.addEventListener(event, showChosen);
  onLanguage(showChosen);
}

function showChosen() {
  const card = models.chosen;
  element("model-name").textContent = card?.name ?? "…";
  element("model-dot").className = `dot is-${card?.state ?? "missing"}`;
  const facts = element("model-facts");
  if (!card) return;
  facts.replaceChildren(
    make("strong", {}, card.name),
    make("p", { class: "soft small-text" }, card.description),
    chips(card),
  );
}

function openMenu() {
  const search = make("input", {
    type: "search",
    class: "input",
    placeholder: t("models.search"),
    "aria-label": t("models.search"),
  });
  const list = make("div", { class: "dialog-body-list" });
  const fill = () => list.replaceChildren(...families(search.value, dialog));
  const dialog = openDialog(t("models.title"), [make("div", { class: "search" }, search), list], {
    isWide: true,
  });
  search.addEventListener("input", fill);
  models.addEventListener("list", fill);
  // States change while weights come in; looking costs the server next to nothing.
  const poll = setInterval(() => models.load().catch(() => {}), POLL_MS);
  dialog.addEventListener("close", () => {
    clearInterval(poll);
    models.removeEventListener("list", fill);
  });
  fill();
  models.load().catch((error) => showError(error, openMenu));
}

/** @param {string} words @param {HTMLDialogElement} dialog @returns {HTMLElement[]} */
function families(words, dialog) {
  const wanted = words.trim().toLowerCase();
  const found = models.list.filter((card) =>
    [card.name, ...card.aliases, card.description].join(" ").toLowerCase().includes(wanted),
  );
  if (found.length === 0) return [make("p", { class: "soft" }, t("models.none"))];
  const names = [...new Set(found.map(({ family }) => family))];
  return names.map((family) => {
    const text = has(`family.${family}`) ? t(`family.${family}`) : "";
    return make(
      "section",
      { class: "family" },
      make("h3", {}, family),
      text ? make("p", {}, text) : null,
      ...found.filter((card) => card.family === family).map((card) => entry(card, dialog)),
    );
  });
}

/** @param {ModelCard} card @param {HTMLDialogElement} dialog */
function entry(card, dialog) {
  const isChosen = card.name === models.chosen?.name;
  const choose = make(
    "button",
    {
      type: "button",
      class: "model",
      "data-model": card.name,
      "aria-pressed": String(isChosen),
      "aria-disabled": card.available ? null : "true",
      onclick: () => {
        if (!card.available) return announce(card.unavailable_because ?? "");
        models.choose(card);
        dialog.close();
        announce(t("models.switched", { model: card.name }));
      },
    },
    make("span", { class: "model-title" }, card.name),
    isChosen ? icon("check") : null,
    make("span", { class: "model-text" }, card.description),
    chips(card),
  );
  if (!isChosen || card.name === models.default) return choose;
  return make(
    "div",
    {},
    choose,
    make(
      "p",
      { class: "small-text soft" },
      t("models.default_is", {
        model: models.default,
      }),
      " ",
      make(
        "button",
        { type: "button", class: "link", onclick: () => setDefault(card, dialog) },
        t("models.make_default"),
      ),
    ),
  );
}

/** @param {ModelCard} card @param {HTMLDialogElement} dialog */
async function setDefault(card, dialog) {
  dialog.close();
  try {
    await makeDefault(card.name);
    await models.load();
    showNote(t("models.is_default", { model: card.name }));
  } catch (error) {
    showError(error, () => setDefault(card, dialog));
  }
}

/** State, licence, and what stands in the way. @param {ModelCard} card */
function chips(card) {
  const percent = card.progress === null ? "" : ` ${Math.round(100 * card.progress)}%`;
  const uses = { true: "yes", false: "no", null: "unknown" }[String(card.licence.commercial_use)];
  return make(
    "span",
    { class: "chips" },
    card.available
      ? make(
          "span",
          { class: "chip" },
          make("span", { class: `dot is-${card.state}` }),
          t(`state.${card.state}`) + percent,
        )
      : make("span", { class: "chip is-bad" }, card.unavailable_because ?? t("state.unavailable")),
    make("span", { class: "chip" }, card.licence.name),
    uses !== "yes" && make("span", { class: "chip is-warm" }, t(`licence.${uses}`)),
    card.name === models.default && make("span", { class: "chip" }, t("models.default")),
  );
}
