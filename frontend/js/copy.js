// Copies the text of another element.
//   <pre id="snippet">...</pre> <button type="button" data-copy="#snippet" hidden>Copy</button>
export function bind(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    if (button.dataset.copyBound) continue;
    button.dataset.copyBound = "yes";
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.querySelector(button.dataset.copy).textContent;
      const label = button.querySelector("[data-copy-label]") || button;
      const before = label.textContent;
      try {
        await navigator.clipboard.writeText(text);
        label.textContent = "Copied";
      } catch {
        label.textContent = "Press Ctrl+C";
        getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
      }
      setTimeout(() => { label.textContent = before; }, 1600);
    });
  }
}
