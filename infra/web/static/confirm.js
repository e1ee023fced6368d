// Confirmations: data-confirm on a form, on its button, or on anything with an hx- attribute. No module, and not deferred:
// what asks first must do so from the moment that it can be clicked, however late the other scripts come.

{
  const parsed = new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));

  const confirmed = async (question) => {
    if (document.readyState === "loading") await parsed;  // the dialog stands at the page's end
    const dialog = document.getElementById("confirm");
    dialog.querySelector("#confirm-text").textContent = question;
    dialog.returnValue = "no";
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    return dialog.returnValue === "yes";
  };

  const agreed = new WeakSet();

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (!question || agreed.delete(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = event.submitter;
    if (!(await confirmed(question))) return;
    agreed.add(form);
    form.requestSubmit(button);
  }, true);

  document.addEventListener("htmx:confirm", async (event) => {
    const question = event.detail.elt.dataset?.confirm;
    if (!question || event.detail.elt.matches("form") || event.detail.elt.form) return;
    event.preventDefault();
    if (await confirmed(question)) event.detail.issueRequest(true);
  });
}
