// One key for what is done most on a page: a button is pressed, a field gets the focus. Not while somebody types.
//   <button data-key="a">Approve</button> <button data-key="r" data-needs="#comment">Reject</button>
// A button with data-needs is not pressed while that field is empty: the field asks for it.
// This is the one place that hears keys: those of palette.js come first.
import { isBusy, takes } from "./palette.js";

let listening = false;

function act(element) {
  if (element.matches("textarea, input")) element.focus();
  else element.click();
}

function pressed(event) {
  if (takes(event) || isBusy(event)) return;
  const element = event.key.length === 1 && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!element) return;
  event.preventDefault();
  act(element);
}

export function bind(root) {
  if (!listening) document.addEventListener("keydown", pressed);
  listening = true;
  for (const help of root.querySelectorAll("[data-keys-help]")) help.hidden = false;
  for (const button of root.querySelectorAll("[data-needs]")) {
    if (button.dataset.needsBound) continue;
    button.dataset.needsBound = "yes";
    const field = document.querySelector(button.dataset.needs);
    button.addEventListener("click", (event) => {
      field.setCustomValidity(field.value.trim() ? "" : "Say why.");
      if (field.value.trim()) return;
      event.preventDefault();
      field.reportValidity();
      field.focus();
    });
    field.addEventListener("input", () => field.setCustomValidity(""));
  }
}
