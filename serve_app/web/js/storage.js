// @ts-check
/** What this browser remembers. Storage may be switched off or full: then nothing is. */

const PREFIX = "inpaint.";

/**
 * @template T
 * @param {string} name
 * @param {T} otherwise what holds where nothing was stored
 * @returns {T}
 */
export function remembered(name, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {unknown} value undefined forgets it */
export function remember(name, value) {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // The page works without.
  }
}

const KEY = PREFIX + "key";

/** The API key, for as long as this tab is open. @returns {string} */
export function storedKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key */
export function storeKey(key) {
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // Asked for again with the next page.
  }
}
