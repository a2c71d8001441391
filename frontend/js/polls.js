// Holds polls back while nobody looks at the page, or while what they would replace is in use.
//   <section data-poll hx-get="..." hx-trigger="every 2s" hx-swap="outerHTML">
let bound = false;

function isBusy(element) {
  if (document.hidden || document.querySelector("dialog[open]")) return true;
  const active = document.activeElement;
  if (element.contains(active) && (active.matches("input, select, textarea") || !active.id)) return true; // htmx keeps the focus of what has an id
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
