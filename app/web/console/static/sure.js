// Asks a person whether something is really meant: a dialog of the page with the id "sure-<name>".

/** Whether it is; `text` replaces the dialog's question. */
export function sure(name, text) {
  const dialog = document.getElementById(`sure-${name}`);
  if (text !== undefined) dialog.querySelector("p").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
