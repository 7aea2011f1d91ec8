// @ts-check
/** One control for each type of setting. */

import { fillTrack, make } from "./dom.js";
import { choicesOf } from "./fields.js";
import { has, t } from "./i18n.js";
import { showError } from "./notices.js";
import { readPicture, release } from "./pictures.js";

/**
 * @typedef {import("./fields.js").Field} Field
 * @typedef {import("./fields.js").Value} Value
 * @typedef {import("./api.js").ModelCard} ModelCard
 * @typedef {object} Holder what holds the values
 * @property {import("./fields.js").Values} values
 * @property {Blob | null} example
 * @property {(name: string, value: Value) => void} set
 * @property {() => void} render
 */

const FEW = 3;
/** So many choices are shown side by side, more as a list. */

/**
 * @param {Field} field
 * @param {ModelCard | null} card
 * @param {Holder} holder
 * @returns {HTMLElement}
 */
export function control(field, card, holder) {
  switch (field.type) {
    case "switch":
      return onOff(field, holder);
    case "range":
      return slider(field, holder);
    case "number":
      return row(field, number(field, holder));
    case "text":
      return words(field, holder);
    case "seed":
      return seed(field, holder);
    case "picture":
      return picture(field, holder);
    case "choice":
      return choice(field, card ? choicesOf(field, card) : [], holder);
  }
}

/** @param {Field} field */
const idOf = ({ name }) => `field-${name}`;

/** @param {Field} field */
const labelOf = (field) =>
  make("label", { for: idOf(field), id: `${idOf(field)}-label` }, t(`field.${field.name}`));

/** @param {Field} field */
const helpOf = ({ name }) =>
  has(`field.${name}.help`) &&
  make("p", { class: "field-help", id: `field-${name}-help` }, t(`field.${name}.help`));

/** @param {Field} field @param {HTMLElement} control */
function row(field, control) {
  const help = helpOf(field);
  if (help) control.setAttribute("aria-describedby", help.id);
  return make("div", { class: "field is-inline" }, labelOf(field), control, help);
}

/** @param {Field} field @param {Holder} holder */
function onOff(field, holder) {
  const { name } = field;
  const box = make("input", {
    type: "checkbox",
    role: "switch",
    class: "switch",
    id: idOf(field),
    name,
    checked: holder.values[name] === true,
  });
  box.addEventListener("change", () => holder.set(name, box.checked));
  return row(field, box);
}

/** @param {Field} field @param {Holder} holder */
function number(field, holder) {
  const { name, min, max, step } = field;
  const box = make("input", {
    type: "number",
    class: "input",
    id: idOf(field),
    name,
    min,
    max,
    step,
    inputmode: "numeric",
    value: String(holder.values[name]),
  });
  box.addEventListener("change", () => {
    if (box.validity.valid && box.value) holder.set(name, Number(box.value));
    else box.value = String(holder.values[name]);
  });
  return box;
}

/** A slider and, for exact values, a box. @param {Field} field @param {Holder} holder */
function slider(field, holder) {
  const { name, min, max, step } = field;
  const range = make("input", {
    type: "range",
    class: "range",
    min,
    max,
    step,
    tabindex: -1,
    "aria-hidden": "true",
    value: String(holder.values[name]),
  });
  const box = number(field, holder);
  range.value = String(holder.values[name]);
  fillTrack(range);
  range.addEventListener("input", () => {
    fillTrack(range);
    box.value = range.value;
    holder.set(name, Number(range.value));
  });
  box.addEventListener("change", () => {
    range.value = box.value;
    fillTrack(range);
  });
  const help = helpOf(field);
  if (help) box.setAttribute("aria-describedby", help.id);
  return make(
    "div",
    { class: "field" },
    labelOf(field),
    make("div", { class: "field-range" }, range, box),
    help,
  );
}

/** @param {Field} field @param {Holder} holder */
function words(field, holder) {
  const { name } = field;
  const box = make("textarea", { class: "input", id: idOf(field), name, rows: 2, maxlength: 4000 });
  box.value = String(holder.values[name] ?? "");
  box.addEventListener("input", () => holder.set(name, box.value));
  const help = helpOf(field);
  if (help) box.setAttribute("aria-describedby", help.id);
  return make("div", { class: "field" }, labelOf(field), box, help);
}

/** Drawn by the server, or fixed. @param {Field} field @param {Holder} holder */
function seed(field, holder) {
  const { name, min, max, step } = field;
  const value = holder.values[name];
  const box = make("input", {
    type: "number",
    class: "input",
    id: idOf(field),
    name,
    min,
    max,
    step,
    inputmode: "numeric",
    placeholder: t("field.seed.drawn"),
    value: value === null ? "" : String(value),
  });
  box.addEventListener("change", () => {
    if (box.validity.valid) holder.set(name, box.value === "" ? null : Number(box.value));
    else box.value = "";
  });
  return row(field, box);
}

/** @param {Field} field @param {readonly string[]} choices @param {Holder} holder */
function choice(field, choices, holder) {
  const { name, start } = field;
  const label = (/** @type {string} */ value) =>
    has(`choice.${value}`) ? t(`choice.${value}`) : value;
  if (start !== null && choices.length <= FEW) {
    return make(
      "div",
      { class: "field" },
      make("span", { id: `${idOf(field)}-label` }, t(`field.${name}`)),
      segments(choices, String(holder.values[name]), label, `${idOf(field)}-label`, (value) =>
        holder.set(name, value),
      ),
      helpOf(field),
    );
  }
  const list = make("select", { class: "select", id: idOf(field), name });
  const first = start === null ? [["", t(`field.${name}.first`)]] : [];
  for (const [value, words] of [...first, ...choices.map((one) => [one, label(one)])]) {
    const isChosen = value === (holder.values[name] ?? "");
    list.append(make("option", { value, selected: isChosen }, words));
  }
  list.addEventListener("change", () => holder.set(name, list.value || null));
  return make("div", { class: "field" }, labelOf(field), list, helpOf(field));
}

/**
 * A row of which one is chosen; arrow keys move, as in every group of radio buttons.
 * @param {readonly string[]} choices
 * @param {string} chosen
 * @param {(value: string) => string} label
 * @param {string} labelledBy
 * @param {(value: string) => void} choose
 */
export function segments(choices, chosen, label, labelledBy, choose) {
  const group = make("div", {
    class: "segments",
    role: "radiogroup",
    "aria-labelledby": labelledBy,
  });
  const buttons = choices.map((value) =>
    make(
      "button",
      {
        type: "button",
        class: "segment",
        role: "radio",
        "data-value": value,
        onclick: () => mark(value),
      },
      label(value),
    ),
  );
  const mark = (/** @type {string} */ value, isQuiet = false) => {
    for (const button of buttons) {
      const isChosen = button.dataset.value === value;
      button.setAttribute("aria-checked", String(isChosen));
      button.tabIndex = isChosen ? 0 : -1;
    }
    if (!isQuiet) choose(value);
  };
  group.append(...buttons);
  mark(chosen, true);
  onArrows(group, buttons);
  return group;
}

/** @param {HTMLElement} group @param {HTMLElement[]} buttons */
export function onArrows(group, buttons) {
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = buttons.findIndex((button) => button === document.activeElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
}

/** @param {Field} field @param {Holder} holder */
function picture(field, holder) {
  const box = make("input", {
    type: "file",
    accept: "image/*",
    class: "visually-hidden",
    id: idOf(field),
    name: field.name,
  });
  const shown = make("img", {
    class: "example-picture",
    alt: t("field.example.alt"),
    hidden: true,
  });
  const show = async () => {
    if (!holder.example) return;
    const read = await readPicture(holder.example, "example");
    shown.onload = () => release(read);
    shown.src = read.url;
    shown.hidden = false;
  };
  box.addEventListener("change", async () => {
    const file = box.files?.[0];
    if (!file) return;
    try {
      release(await readPicture(file, file.name));
      holder.example = file;
      await show();
    } catch (error) {
      showError(error, null);
    }
  });
  show().catch(() => {});
  const open = make(
    "button",
    { type: "button", class: "button", onclick: () => box.click() },
    t("field.example.pick"),
  );
  return make("div", { class: "field" }, labelOf(field), box, shown, open, helpOf(field));
}
