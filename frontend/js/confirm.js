// Asks before a form is sent.
//   <form method="post" data-confirm="Abort this execution?" data-confirm-action="Abort">
// The button that was pressed may say it more precisely with the same attributes.
const dialog = () => document.getElementById("confirm-dialog");

function ask(form, submitter) {
  const box = dialog();
  box.querySelector("[data-confirm-text]").textContent = submitter?.dataset.confirm || form.dataset.confirm;
  const go = box.querySelector("[data-confirm-go]");
  go.textContent = submitter?.dataset.confirmAction || form.dataset.confirmAction || "Continue";
  box.addEventListener("close", () => {
    if (box.returnValue !== "go") return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
  }, { once: true });
  box.returnValue = "";
  box.showModal();
}

export function bind(root) {
  for (const form of root.querySelectorAll("form[data-confirm]")) {
    if (form.dataset.confirmBound) continue;
    form.dataset.confirmBound = "yes";
    form.addEventListener("submit", (event) => {
      if (form.dataset.confirmed) {
        delete form.dataset.confirmed; // once: the page may stay, or come back as it was
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(form, event.submitter);
    });
  }
}
