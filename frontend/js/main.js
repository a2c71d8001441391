// Entry module. Each behaviour lives in its own module and exports bind(root); it runs on load and after every htmx swap.
import * as clocks from "./clocks.js";
import * as connection from "./connection.js";
import * as confirm from "./confirm.js";
import * as copy from "./copy.js";
import * as dismiss from "./dismiss.js";
import * as drawings from "./drawings.js";
import * as keys from "./keys.js";
import * as logs from "./logs.js";
import * as menus from "./menus.js";
import * as once from "./once.js";
import * as palette from "./palette.js";
import * as polls from "./polls.js";
import * as structured from "./structured.js";
import * as submits from "./submits.js";

const behaviours = [
  clocks, connection, confirm, copy, dismiss, drawings, keys, logs, menus, once, palette, polls, structured, submits,
];

function bindAll(root) {
  for (const behaviour of behaviours) behaviour.bind(root);
}

bindAll(document);
document.body.addEventListener("htmx:load", (event) => bindAll(event.detail.elt));
