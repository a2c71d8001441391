// The canvas of lineage: what a version was made of to its left, what was made of it to its right. Nodes are placed in
// columns by their distance; what comes later finds a free place, and nothing that is there moves.
//   <div id="lineage-canvas" data-start="17" data-api="/api/v1/artifact-versions/0/lineage" data-page="/artifacts/versions/0/">
import { ageColours, minimap, slider } from "./lineage_views.js";

const COLUMN = 250, ROW = 64, LIMIT = 250, DEPTH = 2;
const root = document.getElementById("lineage-canvas");
const status = document.getElementById("lineage-status");
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const KINDS = { model: "--odd-line", dataset: "--info-line", file: "--good-line", directory: "--good-line", value: "--warn-line" };

const state = { versions: new Map(), edges: new Map(), expanded: new Map(), columns: new Map(), groups: false, runs: false, until: Infinity, colour: "kind" };

function address(template, id) { return template.replace("/0/", `/${id}/`); }

function column(id) { return state.columns.get(id) ?? 0; }

async function load(id, depth) {
  const found = { added: new Set(), cut: false };
  for (const direction of ["upstream", "downstream"]) {
    const answer = await fetch(`${address(root.dataset.api, id)}?direction=${direction}&depth=${depth}&limit=${LIMIT}&stale=1`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const graph = await answer.json();
    found.cut ||= graph.truncated;
    for (const node of graph.nodes) {
      if (state.versions.has(node.id)) continue;
      state.versions.set(node.id, node);
      state.columns.set(node.id, column(id) + (direction === "upstream" ? -node.depth : node.depth));
      found.added.add(node.id);
    }
    for (const edge of graph.edges) state.edges.set(`${edge.source}-${edge.target}`, edge);
  }
  return found;
}

function words(node) {
  if (node.hidden) return "not visible to you";
  const partitions = Object.entries(node.partitions).map(([key, value]) => `${key}=${value}`).join(", ");
  return `${node.name}\n${partitions || node.version}`;
}

// What is drawn: versions, or all of a name as one; executions between them where they are asked for.
function elements() {
  const keyOf = (node) => (state.groups && !node.hidden ? `g:${node.project}/${node.domain}/${node.name}` : `v:${node.id}`);
  const nodes = new Map(), edges = new Map();
  const ages = ageColours([...state.versions.values()]);
  const isShown = (node) => node.id === state.start || node.hidden || Date.parse(node.created_at) <= state.until;
  for (const node of state.versions.values()) {
    if (!isShown(node)) continue;
    const key = keyOf(node), known = nodes.get(key);
    if (known) { known.data.stale ||= node.stale ? 1 : 0; known.data.age = Math.max(known.data.age, ages(node)); known.data.count += 1; known.data.ids.push(node.id); continue; }
    nodes.set(key, { data: { id: key, ids: [node.id], count: 1, label: words(node), kind: node.hidden ? "hidden" : node.kind, isStart: node.id === state.start, column: column(node.id), node, age: ages(node), stale: node.stale ? 1 : 0 } });
  }
  for (const each of nodes.values()) {
    if (each.data.count > 1) each.data.label = `${each.data.node.name}\n${each.data.count} versions`;
    each.data.isStart = each.data.ids.includes(state.start);
  }
  const link = (source, target) => { if (source !== target) edges.set(`${source}>${target}`, { data: { id: `${source}>${target}`, source, target } }); };
  for (const edge of state.edges.values()) {
    const source = state.versions.get(edge.source), target = state.versions.get(edge.target);
    if (!source || !target || !isShown(source) || !isShown(target)) continue;
    if (!state.runs || !target.execution || state.groups) { link(keyOf(source), keyOf(target)); continue; }
    const run = `x:${target.execution}`;
    if (!nodes.has(run)) nodes.set(run, { data: { id: run, ids: [], count: 1, kind: "run", label: `${target.producer.replace(/@.*$/, "").split(".").pop()}\n${target.execution.split("/").pop()}`, column: column(target.id) - 0.5, execution: target.execution } });
    link(keyOf(source), run);
    link(run, keyOf(target));
  }
  return [...nodes.values(), ...edges.values()];
}

function place(cy, fresh) {
  const taken = new Map();
  const slot = (x, y) => `${Math.round(x / (COLUMN / 2))}:${Math.round(y / ROW)}`;
  cy.nodes().not(fresh).forEach((node) => { taken.set(slot(node.position("x"), node.position("y")), true); });
  const ordered = fresh.sort((a, b) => Math.abs(a.data("column")) - Math.abs(b.data("column")) || (a.id() < b.id() ? -1 : 1));
  ordered.forEach((node) => {
    const around = node.neighborhood("node").filter((each) => !fresh.contains(each) || each.scratch("placed"));
    const wanted = around.length ? around.reduce((sum, each) => sum + each.position("y"), 0) / around.length : 0;
    const x = node.data("column") * COLUMN;
    let row = Math.round(wanted / ROW);
    for (let step = 0; taken.has(slot(x, row * ROW)); step += 1) row += step % 2 ? -(step + 1) : step + 1;
    taken.set(slot(x, row * ROW), true);
    node.position({ x, y: row * ROW }).scratch("placed", true);
  });
}

function redraw(cy, { anew = false } = {}) {
  const wanted = elements(), ids = new Set(wanted.map((each) => each.data.id));
  cy.batch(() => {
    if (anew) cy.elements().remove();
    cy.elements().filter((each) => !ids.has(each.id())).remove();
    const missing = wanted.filter((each) => cy.getElementById(each.data.id).empty());
    const fresh = cy.add(missing.map((each) => ({ group: each.data.source ? "edges" : "nodes", ...each }))).nodes();
    for (const each of wanted) cy.getElementById(each.data.id).data(each.data);
    place(cy, fresh);
  });
}

function style() {
  return [
    { selector: "node", style: { shape: "round-rectangle", width: 200, height: 44, label: "data(label)", "text-wrap": "wrap", "text-max-width": 184, "text-valign": "center", "font-size": 12, "font-family": "system-ui, sans-serif", "line-height": 1.3, "min-zoomed-font-size": 6, color: token("--text"), "background-color": token("--surface"), "border-width": 1.5, "border-color": token("--border-strong") } },
    ...Object.entries(KINDS).map(([kind, name]) => ({ selector: `node[kind="${kind}"]`, style: { "border-color": token(name) } })),
    ...(state.colour === "age" ? [1, 2, 3, 4].map((age) => ({ selector: `node[age=${age}]`, style: { "border-color": token("--border-strong"), "background-color": token("--accent"), "background-opacity": (age - 1) * 0.14 } })) : []),
    ...(state.colour === "stale" ? [[0, "--good"], [1, "--warn"]].map(([stale, name]) => ({ selector: `node[stale=${stale}]`, style: { "border-color": token(`${name}-line`), "background-color": token(`${name}-soft`) } })) : []),
    { selector: 'node[kind="run"]', style: { shape: "round-tag", width: 170, height: 38, "background-color": token("--surface-2") } },
    { selector: 'node[kind="hidden"]', style: { "border-style": "dashed", color: token("--text-3") } },
    { selector: "node[?isStart]", style: { "background-color": token("--accent-soft"), "border-color": token("--accent"), "border-width": 2.5 } },
    { selector: "edge", style: { width: 1.4, "line-color": token("--border-strong"), "target-arrow-color": token("--border-strong"), "target-arrow-shape": "triangle", "arrow-scale": 0.8, "curve-style": "bezier", "source-endpoint": "90deg", "target-endpoint": "270deg" } },
    { selector: "node:selected", style: { "border-color": token("--focus"), "border-width": 3 } },
    { selector: ".beside", style: { "line-color": token("--accent"), "target-arrow-color": token("--accent"), width: 2.2 } },
  ];
}

function tell(text) { status.textContent = text; }

function describe(node) {
  const found = node.data();
  const open = state.expanded.has(found.ids[0]) ? "opened" : "Enter opens what is around it";
  tell(`${found.label.replace("\n", ", ")}. Made of ${node.incomers("node").length}, feeds ${node.outgoers("node").length} that are drawn; ${found.kind === "run" ? "" : open}`);
}

function choose(cy, node) {
  cy.elements().unselect().removeClass("beside");
  node.select().connectedEdges().addClass("beside");
  const box = cy.extent(), at = node.position();
  if (at.x < box.x1 || at.x > box.x2 || at.y < box.y1 || at.y > box.y2) cy.animate({ center: { eles: node }, duration: 150 });
  describe(node);
}

async function toggle(cy, node) { // opens what is around a version, or takes away again what that brought
  const [id] = node.data("ids");
  if (id === undefined || state.versions.get(id)?.hidden) return;
  if (state.expanded.has(id)) { collapse(id); redraw(cy); tell("Closed again."); return; }
  tell("Looking …");
  try {
    const { added, cut } = await load(id, 1);
    state.expanded.set(id, added);
    redraw(cy);
    root.dispatchEvent(new Event("lineage:loaded"));
    tell(`${added.size} more${cut ? ", and there are others beyond what is drawn" : ""}.`);
  } catch (error) { tell(`That did not work: ${error.message}.`); }
}

function collapse(id) {
  for (const added of state.expanded.get(id) ?? []) {
    collapse(added);
    state.versions.delete(added);
    state.columns.delete(added);
  }
  state.expanded.delete(id);
  for (const [key, edge] of state.edges) if (!state.versions.has(edge.source) || !state.versions.has(edge.target)) state.edges.delete(key);
}

function open(node) {
  const found = node.data();
  if (found.kind === "run") location.href = `/executions/${found.execution.split("/").map(encodeURIComponent).join("/")}/`;
  else if (found.kind !== "hidden") location.href = address(root.dataset.page, found.ids[0]);
}

function nextTo(cy, node, key) {
  const sideways = { ArrowLeft: node.incomers("node"), ArrowRight: node.outgoers("node") }[key];
  const at = node.position();
  const sign = key === "ArrowUp" ? -1 : 1;
  const pool = sideways ?? cy.nodes().filter((each) => Math.abs(each.position("x") - at.x) < 1 && sign * (each.position("y") - at.y) > 0);
  return pool.sort((a, b) => Math.abs(a.position("y") - at.y) - Math.abs(b.position("y") - at.y)).first();
}

function keyboard(cy) {
  const zoom = (factor) => cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
  root.addEventListener("keydown", (event) => {
    const chosen = cy.nodes(":selected").first();
    const acts = { "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), f: () => cy.fit(undefined, 30), Enter: () => chosen.nonempty() && toggle(cy, chosen), o: () => chosen.nonempty() && open(chosen) };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow")) {
      const node = chosen.nonempty() ? nextTo(cy, chosen, event.key) : cy.nodes("[?isStart]").first();
      if (node.nonempty()) choose(cy, node);
    } else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
  });
  for (const [id, act] of [["zoom-in", () => zoom(1.25)], ["zoom-out", () => zoom(0.8)], ["fit", () => cy.fit(undefined, 30)]]) document.getElementById(`lineage-${id}`).addEventListener("click", act);
  for (const name of ["groups", "runs"]) {
    document.getElementById(`lineage-${name}`).addEventListener("change", (event) => { state[name] = event.target.checked; redraw(cy, { anew: true }); cy.fit(undefined, 30); });
  }
}

function views(cy) { // what is drawn, in which colours, up to when
  document.getElementById("lineage-colour").addEventListener("change", (event) => { state.colour = event.target.value; cy.style(style()); });
  minimap(cy, document.getElementById("lineage-minimap"), token);
  slider(document.getElementById("lineage-time"), () => [...state.versions.values()], (until, said) => { state.until = until; redraw(cy); tell(said); });
}

async function start() {
  state.start = Number(root.dataset.start);
  document.getElementById("lineage-tools").hidden = false;
  root.hidden = false;
  const cy = window.cytoscape({ container: root, style: style(), minZoom: 0.05, maxZoom: 3, boxSelectionEnabled: false, selectionType: "single", textureOnViewport: true });
  cy.on("tap", "node", (event) => choose(cy, event.target));
  cy.on("dbltap", "node", (event) => toggle(cy, event.target));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cy.style(style()));
  keyboard(cy);
  views(cy);
  try {
    const { cut } = await load(state.start, DEPTH);
    redraw(cy);
    cy.fit(undefined, 30);
    if (cy.zoom() > 1) cy.zoom(1).center();
    tell(`${state.versions.size} versions, ${DEPTH} steps each way${cut ? "; there are more" : ""}.`);
    root.dispatchEvent(new Event("lineage:loaded"));
    root.dataset.drawn = String(state.versions.size);
    document.getElementById("lineage-fallback").open = false;
  } catch (error) {
    root.hidden = true;
    tell(`The canvas cannot be drawn: ${error.message}. The picture and the table below say the same.`);
  }
}

start();
