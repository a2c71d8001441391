// Holds polls back while nobody looks at the page, or while what they would replace is in use.
//   <section data-poll hx-get="..." hx-trigger="every 2s" hx-swap="outerHTML">
let bound = false;

function isBusy(element) {
  if (document.hidden || document.querySelector("dialog[open]")) return true;
  if (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return true;
  const selection = getSelection();
  return !selection.isCollapsed && element.contains(selection.anchorNode);
}

export function bind() {
  if (bound) return;
  bound = true;
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.matches("[data-poll]") && isBusy(event.target)) event.preventDefault();
  });
}
