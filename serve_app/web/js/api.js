// @ts-check
/** The server's native API. See docs/progress.md, docs/text-removal.md and docs/problems.md. */

import { eventsOf } from "./events.js";
import { storedKey } from "./storage.js";

/**
 * @typedef {{name: string, commercial_use: boolean | null, note: string}} Licence
 * @typedef {"extra-missing" | "missing" | "downloading" | "downloaded" | "loaded"} State
 * @typedef {object} ModelCard
 * @property {string} name
 * @property {string[]} aliases
 * @property {"erase" | "diffusion" | "ocr"} kind
 * @property {string} family
 * @property {State} state
 * @property {boolean} available
 * @property {string | null} unavailable_because
 * @property {number | null} progress
 * @property {string} description
 * @property {Licence} licence
 * @property {string[]} parameters
 * @property {{rule: "strategy" | "fixed", size?: number, margin?: number}} tiling
 * @property {string[]} controlnets
 * @property {string[]} brushnets
 * @property {boolean} takes_powerpaint_v2
 * @typedef {{default: string, models: ModelCard[]}} ModelList
 * @typedef {object} Region
 * @property {[number, number][]} polygon
 * @property {string} text
 * @property {number} score
 * @property {string} fate
 * @typedef {object} TextAnswer
 * @property {string} model
 * @property {Region[]} regions
 * @property {string} mask PNG as base64
 * @typedef {object} Made a picture that the server has made
 * @property {Blob} blob its very bytes
 * @property {string} model
 * @property {string} seed
 * @property {number | null} remaining lines of text that can still be read
 * @typedef {{step: number, total: number, preview?: string}} StepEvent
 * @typedef {Record<string, string | number | boolean | Blob>} Fields
 */

/** What the server, or the way to it, has answered instead of a result. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: no answer came
   * @param {string} code as in docs/problems.md
   * @param {string} detail
   * @param {number | null} retryAfter seconds
   */
  constructor(status, code, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Asks for a key; true: there is another one, so ask again. @type {() => Promise<boolean>} */
let askForKey = async () => false;

/** @param {() => Promise<boolean>} ask */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** An id by which a request can be cancelled; crypto.randomUUID wants https. @returns {string} */
export function newRequestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** @returns {Promise<ModelList>} */
export async function getModels() {
  return (await ask("models")).json();
}

/** Make a model the one that answers requests without a name. @param {string} name */
export async function makeDefault(name) {
  const body = JSON.stringify({ name });
  await ask("api/v1/model", {
    method: "POST",
    body,
    headers: { "Content-Type": "application/json" },
  });
}

/**
 * Erase or paint.
 * @param {Fields} fields
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Made>}
 */
export async function inpaint(fields, id, signal) {
  return madeOf(await post("inpaint", fields, id, signal, "*/*"));
}

/**
 * The same with progress.
 * @param {Fields} fields
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(step: StepEvent | null) => void} onStep null: the run begins anew
 * @returns {Promise<Made>}
 */
export async function inpaintInSteps(fields, id, signal, onStep) {
  const sent = { ...fields, previews: true };
  const answer = await post("inpaint", sent, id, signal, "text/event-stream");
  if (!answer.body) throw unreachable();
  for await (const { name, data } of eventsOf(answer.body)) {
    if (name === "step") onStep(data);
    else if (name === "restarted") onStep(null);
    else if (name === "error") throw problem(data, data.status, data.retry_after_s ?? null);
    else if (name === "result") {
      const blob = blobOf(data.image, `image/${data.format}`);
      return { blob, model: data.model, seed: String(data.seed), remaining: null };
    }
  }
  throw unreachable();
}

/**
 * Where the text is, and what would be repainted.
 * @param {Fields} fields
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<TextAnswer>}
 */
export async function findText(fields, id, signal) {
  const sent = { ...fields, dry_run: true };
  return (await post("remove-text", sent, id, signal, "application/json")).json();
}

/**
 * @param {Fields} fields
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Made>}
 */
export async function removeText(fields, id, signal) {
  return madeOf(await post("remove-text", fields, id, signal, "*/*"));
}

/** End a running request; it does not matter if it has ended. @param {string} id */
export async function cancelRequest(id) {
  try {
    await ask(`requests/${id}`, { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Bytes of base64. @param {string} text @param {string} type @returns {Blob} */
export function blobOf(text, type) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return new Blob([bytes], { type });
}

/**
 * @param {string} path
 * @param {Fields} fields
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {string} accept
 */
function post(path, fields, id, signal, accept) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) body.append(name, value, name);
    else body.append(name, String(value));
  }
  // More than the server grants is cut to what it grants.
  const headers = { Accept: accept, "X-Request-Id": id, "X-Timeout-Seconds": "86400" };
  return ask(path, { method: "POST", body, headers, signal });
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} a good one
 */
async function ask(path, init = {}) {
  for (;;) {
    const headers = new Headers(init.headers);
    const key = storedKey();
    if (key) headers.set("Authorization", `Bearer ${key}`);
    const answer = await fetch(path, { ...init, headers }).catch((/** @type {Error} */ error) => {
      throw error.name === "AbortError" ? error : unreachable();
    });
    if (answer.ok) return answer;
    if (answer.status === 401 && (await askForKey())) continue;
    throw await problemOf(answer);
  }
}

/** @param {Response} answer @returns {Promise<ApiError>} */
async function problemOf(answer) {
  const wait = Number(answer.headers.get("Retry-After") ?? NaN);
  let body = {};
  try {
    body = await answer.json();
  } catch {
    // Not from the application: a proxy's page.
  }
  return problem(body, answer.status, Number.isFinite(wait) ? wait : null);
}

/**
 * @param {{type?: string, detail?: unknown}} body
 * @param {number} status
 * @param {number | null} retryAfter
 */
function problem(body, status, retryAfter) {
  const code =
    String(body.type ?? "")
      .split("/")
      .pop() || "unknown";
  return new ApiError(status, code, typeof body.detail === "string" ? body.detail : "", retryAfter);
}

const unreachable = () => new ApiError(0, "unreachable", "", null);

/** @param {Response} answer @returns {Promise<Made>} */
async function madeOf(answer) {
  const remaining = answer.headers.get("X-Text-Remaining");
  return {
    blob: await answer.blob().catch((/** @type {Error} */ error) => {
      throw error.name === "AbortError" ? error : unreachable();
    }),
    model: answer.headers.get("X-Model") ?? "",
    seed: answer.headers.get("X-Seed") ?? "",
    remaining: remaining === null ? null : Number(remaining),
  };
}
