// @ts-check
/** Dark or light: the system's, until one is chosen. early.js applies what was. */

import { t } from "./i18n.js";
import { announce } from "./notices.js";
import { remember } from "./storage.js";

export function switchTheme() {
  const { dataset } = document.documentElement;
  const isDark = dataset.theme
    ? dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = isDark ? "light" : "dark";
  remember("theme", dataset.theme);
  announce(t(`theme.${dataset.theme}`));
}
