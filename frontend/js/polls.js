// Holds polls back while nobody looks at the page, or while what they would replace is in use, and their answers, too: what
// was on its way when somebody began to type or to choose is let go, and asked for again. A poll names what it shows
// (its ETag), and is answered 304 while that has not changed: then nothing is sent and nothing swapped.
//   <section data-poll hx-get="..." hx-trigger="every 2s" hx-swap="outerHTML">
import { isOver } from "./connection.js";

const PATIENCE = 20000; // ms until a server that says nothing counts as lost
const shown = new WeakMap(); // element: the ETag of what it shows
let arrived = null; // path and ETag of the last answer, until the element it brought is there
let bound = false;

function isBusy(element) {
  if (document.hidden || document.querySelector("dialog[open]")) return true;
  if (element.querySelector("details.menu[open]")) return true; // somebody is about to choose
  const log = element.querySelector("[data-follow]");
  if (log && log.scrollTop + log.clientHeight < log.scrollHeight - 24) return true; // somebody reads further up
  const active = document.activeElement;
  if (element.contains(active) && (active.matches("input, select, textarea") || !active.id)) return true; // htmx keeps the focus of what has an id
  const selection = getSelection();
  return !selection.isCollapsed && element.contains(selection.anchorNode);
}

export function bind(root) {
  if (arrived && root.matches?.("[data-poll]") && root.getAttribute("hx-get") === arrived.path) {
    shown.set(root, arrived.etag);
  }
  if (bound) return;
  bound = true;
  document.body.addEventListener("htmx:configRequest", (event) => {
    const etag = shown.get(event.target);
    if (!event.target.matches("[data-poll]")) return;
    event.detail.timeout = PATIENCE;
    if (etag) event.detail.headers["If-None-Match"] = etag;
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.matches("[data-poll]") && (isOver() || isBusy(event.target))) event.preventDefault();
  });
  document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
    arrived = null;
    if (detail.requestConfig.elt.matches("[data-poll]") && isBusy(detail.target)) {
      detail.shouldSwap = false;
      return;
    }
    const etag = detail.xhr.getResponseHeader("ETag");
    if (etag) arrived = { path: detail.requestConfig.path, etag };
  });
}
