// Keeps relative times right while a page stays open.
//   <time datetime="2026-01-01T00:00:00Z" data-clock="ago">3 min ago</time>
//   <time datetime="..." data-clock="until">in 23 h 10 min</time>       deadline
//   <span data-clock="running" data-since="...">12 s</span>             duration of something that still runs
//   <time datetime="..." data-clock="at">2026-01-01 00:00:00 UTC</time>  a moment: of the browser's zone, which its title
//                                                                        names, unless <html data-times="utc">
import { isHeard } from "./connection.js";

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

export function spell(seconds) {
  const total = Math.max(0, Math.round(seconds));
  const at = UNITS.findIndex(([, size]) => total >= size);
  if (at === -1) return "0 s";
  const [unit, size] = UNITS[at];
  const whole = Math.floor(total / size);
  const next = UNITS[at + 1];
  const rest = next ? Math.floor((total % size) / next[1]) : 0;
  return rest ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

function ago(seconds) {
  if (seconds < 5) return "just now";
  const [unit, size] = UNITS.find(([, step]) => seconds >= step);
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

function tick() {
  if (!isHeard()) return;
  const now = Date.now() / 1000;
  for (const element of document.querySelectorAll('[data-clock]:not([data-clock="at"])')) {
    const at = Date.parse(element.dataset.since || element.dateTime) / 1000;
    if (Number.isNaN(at)) continue;
    const kind = element.dataset.clock;
    let text = "";
    if (kind === "running") text = spell(now - at);
    else if (kind === "until") text = at > now ? `in ${spell(at - now)}` : "expired";
    else if (now - at < 30 * 86400) text = ago(now - at);
    if (text && element.textContent !== text) element.textContent = text;
  }
}

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const two = (number) => String(number).padStart(2, "0");

// What the text shows of the moment (a day, a time, both), as clocks here say it.
function local(text, at) {
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return text.replace(/\d{4}-\d\d-\d\d/, day).replace(/\d\d:\d\d(:\d\d)?/, (_, seconds) => (seconds ? `${time}:${two(at.getSeconds())}` : time)).replace(" UTC", "");
}

function localise(element) {
  const at = new Date(element.dateTime), words = element.title;
  element.dataset.local = "";
  if (Number.isNaN(at.getTime()) || !words.endsWith(" UTC")) return;
  element.title = `${local(words, at)} ${ZONE}, ${words}`;
  if (element.dataset.clock === "at") element.textContent = local(element.textContent, at);
}

let timer = null;
export function bind(root) {
  if (document.documentElement.dataset.times !== "utc") {
    for (const element of root.querySelectorAll("time[data-clock]:not([data-local])")) localise(element);
  }
  if (timer === null) timer = setInterval(tick, 1000);
}
