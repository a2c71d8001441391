// Shows the parts of a JSON value as fields, with rows of lists and maps to add and remove. The text area stays what is
// sent; it is written anew only when somebody changes a field, and a text that is no JSON of that shape is left alone.
//   <textarea data-shape='{"kind": "list", "item": {"kind": "int"}}' data-label="numbers">[1, 2]</textarea>
let counter = 0;

class Raw { // a number as it was written: JavaScript has fewer digits than some have
  constructor(text) { this.text = text; }
}

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

function parse(text) {
  return JSON.parse(text, (key, value, context) => (typeof value === "number" ? new Raw(context?.source ?? String(value)) : value));
}

function defaultOf(field) {
  try {
    return field.default === undefined ? undefined : parse(field.default);
  } catch {
    return undefined; // NaN and the like
  }
}

function textOf(value) { // JSON again
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(textOf).join(", ")}]`;
  if (value && typeof value === "object") {
    return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${textOf(each)}`).join(", ")}}`;
  }
  return JSON.stringify(value ?? null);
}

function labelled(label, input, help) {
  input.id = `part-${++counter}`;
  input.classList.add("input");
  const parts = [make("label", { htmlFor: input.id, textContent: label, className: "small" }), input];
  if (help) parts.push(make("span", { className: "help", textContent: help }));
  return make("div", { className: "field" }, ...parts);
}

// Each maker gives the element and what it holds now, as JSON; undefined is nothing at all.
const makers = {
  scalar(shape, value, label, help) {
    const input = make("input", { value: value === undefined || value === null ? "" : value instanceof Raw ? value.text : String(value), autocomplete: "off" });
    if (shape.kind === "int") input.inputMode = "numeric";
    if (shape.kind === "float") input.inputMode = "decimal";
    if (shape.kind === "datetime") input.placeholder = "2026-01-31T09:00+01:00";
    if (shape.kind === "duration") input.placeholder = "1h 30m";
    const isNumber = shape.kind === "int" || shape.kind === "float";
    const had = value !== undefined;
    const read = () => {
      const text = input.value;
      if (text === "") return shape.kind === "str" && had ? '""' : undefined;
      return isNumber && /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(text.trim()) ? text.trim() : JSON.stringify(text);
    };
    return { element: labelled(label, input, help), read };
  },
  choice(options, value, label, help) { // pairs of JSON and words
    const select = make("select");
    for (const [json, words] of [[undefined, ""], ...options]) select.append(make("option", { value: json ?? "", textContent: words }));
    select.value = value === undefined ? "" : textOf(value);
    return { element: labelled(label, select, help), read: () => select.value || undefined };
  },
  json(value, label, help) {
    const input = make("textarea", { value: value === undefined ? "" : textOf(value), rows: 2 });
    input.classList.add("mono");
    return { element: labelled(`${label} (JSON)`, input, help), read: () => input.value.trim() || undefined };
  },
  rows(shape, value, label, changed) {
    const isMap = shape.kind === "map";
    const list = make("div", { className: "stack-s" });
    const rows = [];
    const add = (key, each) => {
      const name = isMap ? labelled("key", make("input", { value: key, autocomplete: "off" })) : null;
      const part = build(shape.item, each, isMap ? "value" : `${label} ${rows.length + 1}`, "", changed);
      const remove = make("button", { type: "button", className: "button button-s", textContent: "Remove" });
      const row = { element: make("div", { className: "structured-row" }, ...(name ? [name] : []), part.element, remove), part, key: () => name?.querySelector("input").value };
      remove.addEventListener("click", () => { rows.splice(rows.indexOf(row), 1); row.element.remove(); changed(); more.focus(); });
      rows.push(row);
      list.append(row.element);
      return row;
    };
    const more = make("button", { type: "button", className: "button button-s", textContent: `Add to ${label}` });
    more.addEventListener("click", () => { add("", undefined).element.querySelector("input, select, textarea")?.focus(); changed(); });
    for (const [key, each] of Object.entries(value ?? {})) add(key, each);
    const read = () => {
      const each = rows.map((row) => [row.key(), row.part.read() ?? emptyOf(shape.item)]);
      if (!rows.length && value === undefined && !list.dataset.touched) return undefined;
      return isMap ? `{${each.map(([key, json]) => `${JSON.stringify(key)}: ${json}`).join(", ")}}` : `[${each.map(([, json]) => json).join(", ")}]`;
    };
    more.addEventListener("click", () => { list.dataset.touched = "yes"; });
    return { element: make("fieldset", { className: "structured" }, make("legend", { className: "small strong", textContent: label }), list, more), read };
  },
  object(shape, value, label, changed) {
    const parts = shape.fields.map((field) => {
      const given = value === undefined ? defaultOf(field) : value[field.name];
      return [field.name, build(field.shape, given, field.required ? `${field.name} *` : field.name, field.help, changed)];
    });
    const others = Object.entries(value ?? {}).filter(([name]) => !shape.fields.some((field) => field.name === name));
    const read = () => {
      const found = parts.map(([name, part]) => [name, part.read()]).filter(([, json]) => json !== undefined);
      found.push(...others.map(([name, each]) => [name, textOf(each)]));
      return found.length ? `{${found.map(([name, json]) => `${JSON.stringify(name)}: ${json}`).join(", ")}}` : undefined;
    };
    return { element: make("fieldset", { className: "structured form-grid" }, make("legend", { className: "small strong", textContent: label }), ...parts.map(([, part]) => part.element)), read };
  },
  union(shape, value, label, help, changed) {
    const options = shape.variants.map((variant, at) => [at, variant]);
    const start = options.find(([, variant]) => value !== undefined && fits(variant, value)) ?? options.find(([, variant]) => variant.kind === "none") ?? options[0];
    const select = make("select");
    for (const [at, variant] of options) select.append(make("option", { value: at, textContent: variant.title || variant.kind }));
    select.value = String(start[0]);
    const place = make("div");
    let part;
    const show = (given) => {
      const variant = shape.variants[Number(select.value)];
      part = variant.kind === "none" ? { element: "", read: () => (value === undefined && !select.dataset.touched ? undefined : "null") } : build(variant, given, label, help, changed);
      place.replaceChildren(part.element);
    };
    select.addEventListener("change", () => { select.dataset.touched = "yes"; show(undefined); changed(); });
    show(start[1].kind === "none" ? undefined : value);
    return { element: make("div", { className: "stack-s" }, labelled(`${label}: what`, select), place), read: () => part.read() };
  },
};

function fits(shape, value) {
  const is = { list: Array.isArray(value), none: value === null, int: value instanceof Raw && !/[.eE]/.test(value.text), float: value instanceof Raw, bool: typeof value === "boolean", enum: shape.values?.includes(value) };
  const isObject = value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Raw);
  if (shape.kind === "object" || shape.kind === "map") return isObject;
  if (shape.kind === "union") return shape.variants.some((variant) => fits(variant, value));
  return is[shape.kind] ?? (shape.kind === "json" || typeof value === "string");
}

function emptyOf(shape) {
  return { list: "[]", map: "{}", object: "{}", str: '""' }[shape.kind] ?? "null";
}

function build(shape, value, label, help, changed) {
  if (value !== undefined && value !== null && !fits(shape, value)) return makers.json(value, label, help);
  if (shape.kind === "list" || shape.kind === "map") return makers.rows(shape, value ?? undefined, label, changed);
  if (shape.kind === "object") return makers.object(shape, value ?? undefined, label, changed);
  if (shape.kind === "union") return makers.union(shape, value, label, help, changed);
  if (shape.kind === "enum") return makers.choice(shape.values.map((each) => [JSON.stringify(each), each]), value, label, help);
  if (shape.kind === "bool") return makers.choice([["true", "true"], ["false", "false"]], value, label, help);
  if (shape.kind === "json" || shape.kind === "none") return makers.json(value, label, help);
  return makers.scalar(shape, value, label, help);
}

function enhance(area) {
  const shape = JSON.parse(area.dataset.shape);
  let value;
  try {
    value = area.value.trim() ? parse(area.value) : undefined;
  } catch {
    return; // NaN and the like: typed as text
  }
  if (value !== undefined && !fits(shape, value)) return;
  const write = () => { area.value = root.read() ?? ""; };
  const root = build(shape, value, area.dataset.label, "", write);
  root.element.addEventListener("input", write);
  root.element.addEventListener("change", (event) => { if (event.target !== area) write(); });
  const json = make("details", { className: "small" }, make("summary", { textContent: "As JSON" }));
  if (area.required && value === undefined) write(); // what the fields show is what is launched
  area.required = false; // what is folded away cannot be pointed at: the server asks for it
  area.before(root.element, json);
  json.append(area);
  if (area.getAttribute("aria-invalid")) json.open = true;
}

// What was chosen of a list stays chosen when the list is searched anew, in it or on top of it.
let chosen = null;
document.body.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  chosen = target.matches(".picked") && target.querySelector("input:checked")?.closest("label");
});
document.body.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (!chosen || !target.matches(".picked")) return;
  const { value } = chosen.querySelector("input");
  const same = [...target.querySelectorAll("input")].find((input) => input.value === value);
  if (same) same.checked = true;
  else target.querySelector("legend")?.after(chosen);
});

export function bind(root) {
  for (const area of root.querySelectorAll("textarea[data-shape]")) {
    if (area.dataset.shapeBound) continue;
    area.dataset.shapeBound = "yes";
    enhance(area);
  }
}
