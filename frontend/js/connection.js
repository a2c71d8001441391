// Says once when the page no longer hears from the server, and stops its clocks: what they would count is not known.
//   <div id="connection" hidden><p data-connection="lost" hidden>... <time data-connection-at></time></p>
//   <p data-connection="ended" hidden>...</p> <p data-connection="gone" hidden>...</p></div>
// A lost connection is tried again by the polls themselves; an ended session is not, nor a page that is there no more for
// whoever looks at it: it was removed, or a role was taken away. Only an answer to what was asked after the loss says that
// it is back: one that was on its way already says nothing of now.
const FINAL = ["gone", "ended"]; // what no answer changes again, but the next of them
const asked = new WeakMap(); // request: how many losses there were when it was sent
let losses = 0;
let heard = new Date();
let state = "";
let bound = false;

export const isHeard = () => state === "";
export const isOver = () => FINAL.includes(state);

function show(next) {
  if (next === state || FINAL.indexOf(state) > FINAL.indexOf(next)) return;
  if (next === "lost") losses += 1;
  state = next;
  const box = document.getElementById("connection");
  if (!box) return;
  for (const text of box.querySelectorAll("[data-connection]")) text.hidden = text.dataset.connection !== state;
  for (const time of box.querySelectorAll("[data-connection-at]")) {
    time.dateTime = heard.toISOString();
    time.textContent = heard.toLocaleTimeString();
  }
  box.hidden = state === "";
  document.documentElement.toggleAttribute("data-unheard", state !== "");
}

// Whether it is the page that was asked for again, and not a part of it, which may be gone by itself.
function isOfThisPage({ target, detail }) {
  return target.matches("[data-poll]") && new URL(detail.pathInfo.requestPath, location.href).pathname === location.pathname;
}

function answered(event) {
  const status = event.detail.xhr.status;
  if (status === 401) show("ended");
  else if ([403, 404].includes(status) && isOfThisPage(event)) show("gone");
  else if (status >= 500) show("lost");
  else if (status) {
    heard = new Date();
    if (asked.get(event.detail.xhr) === losses) show("");
  }
}

export function bind() {
  if (bound) return;
  bound = true;
  document.body.addEventListener("htmx:beforeSend", (event) => asked.set(event.detail.xhr, losses));
  document.body.addEventListener("htmx:afterRequest", answered);
  for (const failed of ["htmx:sendError", "htmx:timeout"]) document.body.addEventListener(failed, () => show("lost"));
  window.addEventListener("offline", () => show("lost"));
}
