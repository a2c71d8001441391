// Scrolls a drawing that is wider than the page to its main node.
//   <div class="drawing" data-centre=".node-self"><svg>...</svg></div>
export function bind(root) {
  for (const drawing of root.querySelectorAll("[data-centre]")) {
    const node = drawing.querySelector(drawing.dataset.centre);
    if (!node) continue;
    const box = node.getBoundingClientRect();
    const frame = drawing.getBoundingClientRect();
    drawing.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  }
}
