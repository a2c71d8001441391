// A form that was sent is not sent again while its answer is awaited: pressed twice, it would launch or decide twice.
//   every <form method="post">
const PATIENCE = 10000; // ms after which it may be sent again: the answer was given up, or was no page
let sent = new WeakMap(); // form: when it was sent
let bound = false;

function once(event) {
  const form = event.target, before = sent.get(form);
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  if (before !== undefined && performance.now() - before < PATIENCE) event.preventDefault();
  else sent.set(form, performance.now());
}

export function bind() {
  if (bound) return;
  bound = true;
  document.addEventListener("submit", once);
  window.addEventListener("pageshow", () => { sent = new WeakMap(); }); // the back button brings a page as it was left
}
