// Takes a notice away.
//   <div data-dismissable>... <button type="button" data-dismiss hidden>...</button></div>
export function bind(root) {
  for (const button of root.querySelectorAll("[data-dismiss]")) {
    button.hidden = false;
    button.addEventListener("click", () => button.closest("[data-dismissable]").remove());
  }
}
