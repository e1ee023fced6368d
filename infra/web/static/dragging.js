// Codes dragged onto another code, to merge them, or onto a theme, to move them: the form of the ticked codes is sent.

const form = document.getElementById("bulk");
const rowOf = (element) => element.closest?.("tr:has([data-tick])") ?? null;
const boxOf = (row) => row.querySelector("[data-tick]");
const boxes = () => [...document.querySelectorAll("[data-tick]")];
let dragged = [];  // rows

if (form) {
  for (const box of boxes()) rowOf(box).draggable = true;
  document.addEventListener("dragstart", start);
  document.addEventListener("dragover", over);
  document.addEventListener("drop", drop);
  document.addEventListener("dragend", end);
}

// A ticked code takes the other ticked ones with it.
function start(event) {
  const row = rowOf(event.target);
  if (!row) return;
  dragged = boxOf(row).checked ? boxes().filter((box) => box.checked).map(rowOf) : [row];
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", boxOf(row).dataset.tick);
  for (const each of dragged) each.classList.add("dragged");
}

// What is under the pointer: a code that the dragged ones become, or a theme that they are not under yet.
function targetOf(event) {
  if (!dragged.length) return null;
  const row = rowOf(event.target);
  if (row) return dragged.includes(row) ? null : row;
  const theme = event.target.closest?.("[data-theme]") ?? null;
  return theme && dragged.some((each) => !theme.contains(each)) ? theme : null;
}

function mark(target) {
  for (const each of document.querySelectorAll(".dropped-on")) each.classList.toggle("dropped-on", each === target);
  target?.classList.add("dropped-on");
}

function over(event) {
  const target = targetOf(event);
  mark(target);
  if (target) event.preventDefault();
}

function drop(event) {
  const target = targetOf(event);
  if (!target) return;
  event.preventDefault();
  if (target.matches("tr")) merge(boxOf(target));
  else move(target.dataset.theme);
}

function end() {
  mark(null);
  for (const each of dragged) each.classList.remove("dragged");
  dragged = [];
}

function merge(target) {
  const before = tickOnly([...dragged.map(boxOf), target]);
  const codes = dragged.map((row) => boxOf(row).dataset.tick).join("”, “");
  const button = document.getElementById("drop-merge");
  const words = button.dataset.says.split(/(\{codes\}|\{target\})/);
  const named = { "{codes}": codes, "{target}": target.dataset.tick };
  button.dataset.confirm = words.map((word) => named[word] ?? word).join("");
  document.getElementById("bulk-into").value = target.value;
  const dialog = document.getElementById("confirm");
  dialog.addEventListener("close", () => { if (dialog.returnValue !== "yes") tickOnly(before); }, { once: true });
  form.requestSubmit(button);
}

function move(theme) {
  tickOnly(dragged.map(boxOf));
  document.getElementById("bulk-theme").value = theme;
  form.requestSubmit(document.getElementById("drop-move"));
}

// Ticks these and no others; returns those that were ticked before.
function tickOnly(wanted) {
  const before = boxes().filter((box) => box.checked);
  for (const box of boxes()) box.checked = wanted.includes(box);
  document.dispatchEvent(new CustomEvent("ticks"));
  return before;
}
