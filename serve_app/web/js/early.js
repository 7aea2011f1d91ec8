// Before anything is painted: the theme that was chosen here last, so that nothing flashes.
try {
  const theme = JSON.parse(localStorage.getItem("inpaint.theme") ?? "null");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, or something else of that name: the system's theme.
}
