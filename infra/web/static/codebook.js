// Many codes at once: ticks with keys and ranges, and what the ticked ones can be merged into.

const boxes = () => [...document.querySelectorAll("[data-tick]")];
const typing = (target) => target.closest?.("textarea, select, input:not([type=checkbox])") !== null;
let last = null;

function say() {
  const ticked = boxes().filter((box) => box.checked);
  document.getElementById("ticked").textContent = ticked.length;
  const into = document.getElementById("bulk-into");
  const kept = into.value;
  into.replaceChildren(into.options[0], ...ticked.map((box) => new Option(box.dataset.tick, box.value)));
  if (ticked.some((box) => box.value === kept)) into.value = kept;
}

function range(box) {
  const all = boxes();
  const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
  if (from >= 0) all.slice(from, to + 1).forEach((each) => { each.checked = box.checked; });
}

function step(by) {
  const all = boxes();
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)];
  next?.focus();
  next?.closest("tr").scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.("[data-tick]");
  if (!box) return;
  if (event.shiftKey) range(box);
  last = box;
  say();
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]") || !document.getElementById("bulk")) return;
  const box = event.target.matches?.("[data-tick]") ? event.target : null;
  const actions = {
    j: () => step(1),
    k: () => step(-1),
    x: () => { if (box) { box.checked = !box.checked; last = box; say(); } },
    X: () => { if (box) { box.checked = !box.checked; range(box); last = box; say(); } },
    g: () => document.getElementById("bulk-merge").focus(),
    t: () => document.getElementById("bulk-theme").focus(),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});

if (document.getElementById("bulk")) {
  document.addEventListener("ticks", say);  // dragging.js has changed them
  say();
}
