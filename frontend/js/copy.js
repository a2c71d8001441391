// Copies the text of another element.
//   <pre id="snippet">...</pre> <button type="button" data-copy="#snippet" hidden>Copy</button>
export function bind(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    if (button.dataset.copyBound) continue;
    button.dataset.copyBound = "yes";
    button.hidden = false;
    const label = button.querySelector("[data-copy-label]") || button;
    const before = label.textContent;
    let timer = null;
    button.addEventListener("click", async () => {
      const text = document.querySelector(button.dataset.copy).textContent;
      clearTimeout(timer);
      try {
        await navigator.clipboard.writeText(text);
        label.textContent = "Copied";
      } catch {
        label.textContent = "Press Ctrl+C";
        getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
      }
      timer = setTimeout(() => { label.textContent = before; }, 1600);
    });
  }
}
