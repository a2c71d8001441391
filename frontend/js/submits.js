// Sends a filter form when one of its selects changes.
//   <form data-autosubmit> <select name="phase">...</select> <button data-autosubmit-button>Filter</button> </form>
export function bind(root) {
  for (const form of root.querySelectorAll("form[data-autosubmit]")) {
    if (form.dataset.autosubmitBound) continue;
    form.dataset.autosubmitBound = "yes";
    const button = form.querySelector("[data-autosubmit-button]");
    if (button) button.hidden = true;
    form.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
    });
  }
}
