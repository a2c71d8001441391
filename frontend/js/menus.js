// Menus are <details class="menu">: close them on Escape, on a click elsewhere, and when another one opens.
function closeAll(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
}

let bound = false;
export function bind() {
  if (bound) return;
  bound = true;
  document.addEventListener("click", (event) => closeAll(event.target.closest("details.menu")));
  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.("details.menu[open]")) event.target.querySelector("input:not([type=hidden])")?.focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector("details.menu[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });
}
