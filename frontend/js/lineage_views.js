// What the canvas of lineage (lineage.js) shows beside its nodes: where one is in all of it, how old things are, and how it
// looked at an earlier time.

const AGES = 4; // colours from the oldest to the newest

// Which of AGES parts of the span between the oldest and the newest a version was published in, 1 the oldest; 0: unknown.
export function ageColours(versions) {
  const times = versions.filter((node) => node.created_at).map((node) => Date.parse(node.created_at));
  const first = Math.min(...times), span = Math.max(...times) - first;
  return (node) => (node.created_at ? 1 + Math.min(AGES - 1, Math.floor((AGES * (Date.parse(node.created_at) - first)) / (span || 1))) : 0);
}

// All of the canvas, small, with a frame around what is in sight; a click or drag goes there.
export function minimap(cy, canvas, token) {
  const pen = canvas.getContext("2d");
  let place = null, waits = false;
  const draw = () => {
    waits = false;
    const nodes = cy.nodes(), box = nodes.boundingBox(), seen = cy.extent();
    const all = { x1: Math.min(box.x1, seen.x1), y1: Math.min(box.y1, seen.y1), x2: Math.max(box.x2, seen.x2), y2: Math.max(box.y2, seen.y2) };
    const scale = Math.min(canvas.width / (all.x2 - all.x1 || 1), canvas.height / (all.y2 - all.y1 || 1));
    place = { scale, x: all.x1, y: all.y1 };
    pen.clearRect(0, 0, canvas.width, canvas.height);
    canvas.hidden = nodes.length < 2;
    nodes.forEach((node) => {
      const at = node.position();
      pen.fillStyle = node.data("isStart") ? token("--accent") : token("--border-strong");
      pen.fillRect((at.x - all.x1 - 100) * scale, (at.y - all.y1 - 22) * scale, Math.max(200 * scale, 2), Math.max(44 * scale, 2));
    });
    pen.strokeStyle = token("--focus");
    pen.lineWidth = 2;
    pen.strokeRect((seen.x1 - all.x1) * scale, (seen.y1 - all.y1) * scale, seen.w * scale, seen.h * scale);
  };
  const soon = () => { if (!waits) { waits = true; requestAnimationFrame(draw); } };
  cy.on("add remove position viewport resize", soon);
  const go = (event) => {
    if (!place || !(event.buttons & 1)) return;
    const rect = canvas.getBoundingClientRect();
    const x = ((event.clientX - rect.left) * canvas.width) / rect.width / place.scale + place.x;
    const y = ((event.clientY - rect.top) * canvas.height) / rect.height / place.scale + place.y;
    cy.pan({ x: cy.width() / 2 - x * cy.zoom(), y: cy.height() / 2 - y * cy.zoom() });
  };
  canvas.addEventListener("pointerdown", go);
  canvas.addEventListener("pointermove", go);
}

// A slider over the times of what is loaded: only what was there by then is drawn. `shown(until, words)`.
export function slider(input, versions, shown) {
  const times = () => [...new Set(versions().filter((node) => node.created_at).map((node) => Date.parse(node.created_at)))].sort((a, b) => a - b);
  const label = document.getElementById("lineage-time-words");
  const adapt = () => {
    const atEnd = input.value === input.max, count = times().length;
    input.max = String(Math.max(count - 1, 0));
    if (atEnd) input.value = input.max;
    input.parentElement.hidden = count < 2;
  };
  document.getElementById("lineage-canvas").addEventListener("lineage:loaded", adapt);
  input.addEventListener("input", () => {
    const all = times(), at = Number(input.value), isNow = at >= all.length - 1;
    label.textContent = isNow ? "now" : new Date(all[at]).toISOString().slice(0, 16).replace("T", " ");
    input.setAttribute("aria-valuetext", label.textContent);
    shown(isNow ? Infinity : all[at], isNow ? "As it is now." : `As it was on ${label.textContent} (UTC): ${at + 1} of ${all.length} times.`);
  });
}
