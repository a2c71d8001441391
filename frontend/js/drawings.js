// Scrolls what is wider than the page to what matters in it: a drawing to its main node, and on a phone the navigation and
// tabs, which are strips there, to the present page.
//   <div class="drawing" data-centre=".node-self"><svg>...</svg></div>
function centre(frame, node) {
  if (!node) return;
  const box = node.getBoundingClientRect();
  const around = frame.getBoundingClientRect();
  frame.scrollLeft += box.left + box.width / 2 - around.left - around.width / 2;
}

// Once the page is painted: to measure before would make the browser lay all of it out at once, and wait for that.
export function bind(root) {
  requestAnimationFrame(() => setTimeout(() => scroll(root)));
}

function scroll(root) {
  for (const drawing of root.querySelectorAll("[data-centre]")) centre(drawing, drawing.querySelector(drawing.dataset.centre));
  if (!matchMedia("(max-width: 860px)").matches) return;
  for (const strip of root.querySelectorAll(".nav, .tabs")) centre(strip, strip.querySelector("[aria-current]"));
}
