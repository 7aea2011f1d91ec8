// @ts-check
/** The settings of a request: names, ranges and defaults of the API, and when each has a meaning. */

/** @typedef {import("./api.js").ModelCard} ModelCard */
/** @typedef {string | number | boolean | null} Value null: the server decides */
/** @typedef {Record<string, Value>} Values */
/** @typedef {(values: Values, card: ModelCard) => boolean} When */

/**
 * @typedef {object} Field
 * @property {string} name the API's
 * @property {string} group under which heading it stands
 * @property {"switch" | "range" | "number" | "choice" | "text" | "seed" | "picture"} type
 * @property {Value} start its default, the API's
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {readonly string[] | ((card: ModelCard) => readonly string[])} [choices]
 * @property {When} [when] besides that the model reads it
 */

export const SEED_MAX = 2 ** 31 - 1;

// prettier-ignore
const SAMPLERS = [
  "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE", "DPM++ 2M SDE Karras", "DPM++ SDE",
  "DPM++ SDE Karras", "DPM2", "DPM2 Karras", "DPM2 a", "DPM2 a Karras", "Euler", "Euler a", "Heun",
  "LMS", "LMS Karras", "DDIM", "PNDM", "UniPC", "LCM",
];
const TASKS = ["text-guided", "context-aware", "shape-guided", "object-remove", "outpainting"];

/** @param {...string} names @returns {When} */
const unless =
  (...names) =>
  (values) =>
    !names.some((name) => values[name]);
/** @param {string} name @param {Value} value @returns {When} */
const where = (name, value) => (values) => values[name] === value;
/** @type {When} PowerPaint v1 always has tasks, v2 is a switch */
const hasTasks = (values, card) =>
  !card.parameters.includes("enable_powerpaint_v2") ||
  (card.takes_powerpaint_v2 && values.enable_powerpaint_v2 === true);

/** @type {readonly Field[]} */
// prettier-ignore
export const FIELDS = [
  { name: "hd_strategy", group: "size", type: "choice", start: "Crop",
    choices: ["Original", "Resize", "Crop"] },
  { name: "hd_strategy_crop_trigger_size", group: "size", type: "number", start: 800, min: 0,
    max: 65_535, step: 1, when: where("hd_strategy", "Crop") },
  { name: "hd_strategy_crop_margin", group: "size", type: "number", start: 128, min: 0, max: 4096,
    step: 1, when: where("hd_strategy", "Crop") },
  { name: "hd_strategy_resize_limit", group: "size", type: "number", start: 2048, min: 16,
    max: 65_535, step: 1, when: where("hd_strategy", "Resize") },

  { name: "cv2_flag", group: "model", type: "choice", start: "INPAINT_NS",
    choices: ["INPAINT_NS", "INPAINT_TELEA"] },
  { name: "cv2_radius", group: "model", type: "range", start: 4, min: 1, max: 100, step: 1 },
  { name: "ldm_steps", group: "model", type: "range", start: 20, min: 1, max: 1000, step: 1 },
  { name: "ldm_sampler", group: "model", type: "choice", start: "plms", choices: ["plms", "ddim"] },
  { name: "zits_wireframe", group: "model", type: "switch", start: true },

  { name: "paint_by_example_example_image", group: "model", type: "picture", start: null },
  { name: "negative_prompt", group: "model", type: "text", start: "" },
  { name: "sd_steps", group: "model", type: "range", start: 50, min: 1, max: 150, step: 1 },
  { name: "sd_guidance_scale", group: "model", type: "range", start: 7.5, min: 0, max: 50,
    step: 0.1 },
  { name: "sd_strength", group: "model", type: "range", start: 1, min: 0.01, max: 1, step: 0.01,
    when: unless("enable_brushnet", "enable_powerpaint_v2", "use_extender") },
  { name: "sd_sampler", group: "model", type: "choice", start: "UniPC", choices: SAMPLERS },
  { name: "sd_lcm_lora", group: "model", type: "switch", start: false,
    when: unless("enable_brushnet", "enable_powerpaint_v2") },
  { name: "seed", group: "model", type: "seed", start: null, min: 0, max: SEED_MAX, step: 1 },

  { name: "enable_controlnet", group: "guide", type: "switch", start: false,
    when: (values, card) =>
      card.controlnets.length > 0 &&
      unless("enable_brushnet", "enable_powerpaint_v2", "use_extender")(values, card) },
  { name: "controlnet_method", group: "guide", type: "choice", start: null,
    choices: (card) => card.controlnets, when: where("enable_controlnet", true) },
  { name: "controlnet_conditioning_scale", group: "guide", type: "range", start: 0.4, min: 0,
    max: 2, step: 0.01, when: where("enable_controlnet", true) },
  { name: "enable_brushnet", group: "guide", type: "switch", start: false,
    when: (values, card) =>
      card.brushnets.length > 0 &&
      unless("enable_controlnet", "enable_powerpaint_v2")(values, card) },
  { name: "brushnet_method", group: "guide", type: "choice", start: null,
    choices: (card) => card.brushnets, when: where("enable_brushnet", true) },
  { name: "brushnet_conditioning_scale", group: "guide", type: "range", start: 1, min: 0, max: 2,
    step: 0.01, when: where("enable_brushnet", true) },
  { name: "enable_powerpaint_v2", group: "guide", type: "switch", start: false,
    when: (values, card) =>
      card.takes_powerpaint_v2 && unless("enable_controlnet", "enable_brushnet")(values, card) },
  { name: "powerpaint_task", group: "guide", type: "choice", start: "text-guided", choices: TASKS,
    when: hasTasks },
  { name: "fitting_degree", group: "guide", type: "range", start: 1, min: 0.01, max: 1, step: 0.01,
    when: (values, card) =>
      hasTasks(values, card) && values.powerpaint_task === "shape-guided" },

  { name: "use_croper", group: "area", type: "switch", start: false, when: unless("use_extender") },
  { name: "croper_x", group: "area", type: "number", start: 0, step: 1,
    when: where("use_croper", true) },
  { name: "croper_y", group: "area", type: "number", start: 0, step: 1,
    when: where("use_croper", true) },
  { name: "croper_width", group: "area", type: "number", start: 512, min: 1, step: 1,
    when: where("use_croper", true) },
  { name: "croper_height", group: "area", type: "number", start: 512, min: 1, step: 1,
    when: where("use_croper", true) },
  { name: "use_extender", group: "area", type: "switch", start: false,
    when: unless("use_croper", "enable_controlnet") },
  { name: "extender_x", group: "area", type: "number", start: 0, step: 1,
    when: where("use_extender", true) },
  { name: "extender_y", group: "area", type: "number", start: 0, step: 1,
    when: where("use_extender", true) },
  { name: "extender_width", group: "area", type: "number", start: 640, min: 1, step: 1,
    when: where("use_extender", true) },
  { name: "extender_height", group: "area", type: "number", start: 640, min: 1, step: 1,
    when: where("use_extender", true) },

  { name: "sd_mask_blur", group: "seam", type: "range", start: 11, min: 0, max: 96, step: 1 },
  { name: "sd_scale", group: "seam", type: "range", start: 1, min: 0.05, max: 1, step: 0.01 },
  { name: "sd_match_histograms", group: "seam", type: "switch", start: false },
  { name: "sd_keep_unmasked_area", group: "seam", type: "switch", start: true },

  { name: "format", group: "output", type: "choice", start: null,
    choices: ["png", "jpeg", "webp", "bmp", "tiff", "gif"] },
  { name: "quality", group: "output", type: "range", start: 95, min: 1, max: 100, step: 1 },
];

/** What every model takes, and what every one of a kind takes besides its own parameters. */
const COMMON = ["format", "quality"];
const STRATEGY = FIELDS.map(({ name }) => name).filter((name) => name.startsWith("hd_strategy"));
const CANVAS = ["area", "seam"].flatMap((group) =>
  FIELDS.filter((field) => field.group === group).map(({ name }) => name),
);

/** How POST /remove-text finds text, and what it makes of it. @type {readonly Field[]} */
// prettier-ignore
export const TEXT_FIELDS = [
  { name: "mask_mode", group: "text", type: "choice", start: "stroke",
    choices: ["stroke", "polygon", "box"] },
  { name: "mask_margin", group: "text", type: "range", start: 0, min: 0, max: 2, step: 0.01 },
  { name: "min_score", group: "text", type: "range", start: 0, min: 0, max: 1, step: 0.01 },
  { name: "keep", group: "text", type: "text", start: "" },
  { name: "fill_flat", group: "text", type: "switch", start: true },
  { name: "verify", group: "text", type: "switch", start: true },
];

/** @param {ModelCard} card @returns {Set<string>} the fields that the API takes for a model */
export function taken(card) {
  const options = { erase: STRATEGY, diffusion: CANVAS, ocr: [] }[card.kind];
  const isFixed = card.tiling.rule === "fixed";
  return new Set([...COMMON, ...card.parameters, ...(isFixed ? [] : options)]);
}

/**
 * The fields that mean something for a model, with these values.
 * @param {ModelCard} card
 * @param {Values} values
 * @returns {Field[]}
 */
export function active(card, values) {
  const names = taken(card);
  return FIELDS.filter(({ name, when }) => names.has(name) && (when?.(values, card) ?? true));
}

/** @param {Field} field @param {ModelCard} card @returns {readonly string[]} */
export const choicesOf = ({ choices = [] }, card) =>
  typeof choices === "function" ? choices(card) : choices;
