// Files dropped on a form that takes them: they join those that are chosen already, and all names are listed.

import { notify } from "./app.js";
import { word } from "./words.js";

for (const input of document.querySelectorAll("[data-drop]")) {
  const form = input.form;
  input.addEventListener("change", () => list(input));
  form.addEventListener("dragover", (event) => over(event, form));
  form.addEventListener("dragleave", (event) => { if (!form.contains(event.relatedTarget)) mark(form, false); });
  form.addEventListener("drop", (event) => drop(event, input));
}

const key = (file) => `${file.name}/${file.size}/${file.lastModified}`;
const mark = (form, on) => form.classList.toggle("dropped-on", on);

function over(event, form) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  mark(form, true);
}

function drop(event, input) {
  mark(input.form, false);
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...event.dataTransfer.files].filter((_, n) => !entries[n]?.isDirectory);
  if (files.length < event.dataTransfer.files.length) notify(word("folder"));
  const all = new DataTransfer();
  for (const file of new Map([...input.files, ...files].map((file) => [key(file), file])).values()) all.items.add(file);
  input.files = all.files;
  list(input);
}

function list(input) {
  const names = [...input.files].map((file) => file.name);
  const place = input.form.querySelector("[data-drop-names]");
  place.textContent = names.length ? word("files", { count: names.length, names: names.join(", ") }) : "";
}
