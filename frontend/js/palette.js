// Ctrl-K searches everywhere, / the page (or everywhere), ? tells the keys, g and a letter goes somewhere.
//   <a href="/search/" data-palette>Search</a>   <dialog id="palette"> with an input and #palette-results
//   <input name="next" data-here>                an address that is kept as it is when the form is sent
const PLACES = { h: "/", a: "/artifacts/names/", e: "/executions/", p: "/launch-plans/", w: "/approvals/", s: "/schedules/" };
const WAIT = 1200; // ms in which the letter after g has to come
let bound = false;
let going = 0;

const box = () => document.getElementById("palette");
const TYPED_INTO = "input, textarea, select, [contenteditable]";

function open() {
  const palette = box();
  if (!palette || palette.open) return;
  palette.showModal();
  const input = palette.querySelector("input");
  input.select();
  window.htmx?.trigger(input, "palette");
}

function move(step) {
  const hits = [...box().querySelectorAll(".palette-hit")];
  if (!hits.length) return;
  const at = hits.indexOf(document.activeElement);
  const next = at + step;
  if (next < 0) box().querySelector("input").focus();
  else hits[Math.min(next, hits.length - 1)].focus();
}

// The hits may still be those of what was typed before: their answer is on its way.
function isOfWhatIsTyped() {
  return box().querySelector("[data-q]")?.dataset.q === box().querySelector("input").value.trim();
}

function inPalette(event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target.matches?.(TYPED_INTO)) {
    const first = box().querySelector(".palette-hit");
    if (!first || !isOfWhatIsTyped()) return; // the form goes to the page that finds it
    event.preventDefault();
    location.assign(first.href);
  }
}

// Whether a key means nothing but itself: somebody types, or a dialog has the word.
export function isBusy(event) {
  const typed = event.target.closest?.(TYPED_INTO);
  return event.ctrlKey || event.metaKey || event.altKey || Boolean(typed) || Boolean(document.querySelector("dialog[open]"));
}

// Whether the key was one of these. The one after g is, whatever it is.
export function takes(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    open();
    return true;
  }
  if (box()?.open) {
    inPalette(event);
    return true;
  }
  if (isBusy(event)) return false;
  if (going && Date.now() - going < WAIT) {
    going = 0;
    if (PLACES[event.key]) location.assign(PLACES[event.key]);
    return true;
  }
  going = event.key === "g" ? Date.now() : 0;
  if (event.key === "/") {
    event.preventDefault();
    const own = document.querySelector("main input[type=search]");
    if (own) own.select(); else open();
  } else if (event.key === "?") {
    document.getElementById("shortcuts")?.showModal();
  }
  return "g/?".includes(event.key);
}

export function bind(root) {
  for (const link of root.querySelectorAll("[data-palette]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); open(); });
  }
  if (bound) return;
  bound = true;
  document.addEventListener("submit", (event) => {
    const here = event.target.querySelector?.("[data-here]");
    if (here) here.value = location.pathname + location.search;
  }, true);
}
