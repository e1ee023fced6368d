// The queue by keyboard: one key chooses, Enter decides. Everything it does can be done with the page's own controls.

import { word } from "./words.js";

const $ = (id) => document.getElementById(id);
const writing = (target) => target.matches?.("textarea, select, input:not([type=checkbox], [type=radio])") ?? false;

// --- keys ---

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.id === "search" && searchKey(event)) return event.preventDefault();
  if (event.key === "Enter") return decide(event);
  if (event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape" && writing(event.target)) return $("segment")?.focus();
  if (writing(event.target)) return;
  const control = document.querySelector(`#main [data-key="${CSS.escape(event.key)}"]`);
  if (!control || control.disabled) return;
  event.preventDefault();
  if (writing(control)) control.focus({ preventScroll: control.closest(".marking") !== null });  // it is in sight already
  else control.click();
});

function decide(event) {
  const own = event.target.closest?.("button, a, summary, input:not([type=checkbox], [type=radio])");
  const form = $("decision");
  const elsewhere = writing(event.target) && !form?.contains(event.target);
  if (!form || form.hidden || own || elsewhere || (event.target.matches("textarea") && !event.ctrlKey && !event.metaKey)) return;
  event.preventDefault();
  form.requestSubmit(form.querySelector(".button.primary"));
}

// --- what is chosen, said to those who do not see it ---

function say() {
  const said = $("choice-said");
  if (!said) return;
  const chosen = [...$("decision").querySelectorAll("input[type=checkbox]:checked")].map((box) => box.dataset.label);
  said.textContent = chosen.length ? word("chosen", { codes: chosen.join(", ") }) : "";
}

document.addEventListener("change", (event) => {
  if (event.target.closest("#decision")) say();
});

// --- search over the codebook: a combobox, whose options the server writes ---

let at = -1;  // the option that the arrow keys are on
let first = false;  // Enter came before the answer: its first option is meant

const options = () => ($("codes").hidden ? [] : [...$("codes").querySelectorAll("[role=option]")]);

function show(open) {
  at = -1;
  $("codes").hidden = !open;
  $("search").setAttribute("aria-expanded", String(open));
  $("search").removeAttribute("aria-activedescendant");
}

function move(step) {
  const all = options();
  if (!all.length) return;
  at = (at + step + all.length + (at < 0 && step < 0 ? 1 : 0)) % all.length;
  all.forEach((option, n) => option.setAttribute("aria-selected", String(n === at)));
  all[at].scrollIntoView({ block: "nearest" });
  $("search").setAttribute("aria-activedescendant", all[at].id);
}

function searchKey(event) {
  const all = options();
  if (event.key === "ArrowDown") move(1);
  else if (event.key === "ArrowUp") move(-1);
  else if (event.key === "Escape" && all.length) show(false);
  else if (event.key === "Enter" && all.length) choose(all[Math.max(at, 0)]);
  else if (event.key === "Enter" && $("search").value.trim()) first = true;
  else return false;
  return true;
}

function choose(option) {
  const { value, label } = option.dataset;
  const fresh = "new" in option.dataset;
  const there = [...$("decision").querySelectorAll("input[type=checkbox]")].find(
    (box) => (fresh ? box.name === "new" && box.value === value : box.dataset.code === value),
  );
  if (there) there.checked = true;
  else add(fresh ? "new" : "code", value, label);
  $("search").value = "";
  show(false);
  say();
}

function add(name, value, label) {
  const line = $("chosen-code").content.cloneNode(true);
  const box = line.querySelector("input");
  const words = line.querySelector("label");
  Object.assign(box, { name, value, id: `chosen-${$("chosen").childElementCount}` });
  box.dataset.label = label;
  if (name === "code") box.dataset.code = value;
  words.htmlFor = box.id;
  words.textContent = name === "new" ? word("new_code", { label }) : label;
  $("chosen").append(line);
}

document.addEventListener("input", (event) => {
  if (event.target.id !== "search") return;
  first = false;
  show(false);  // what stands there answers other letters
});

document.addEventListener("mousedown", (event) => {
  const option = event.target.closest?.("#codes [role=option]");
  if (!option) return;
  event.preventDefault();  // the field keeps the focus
  choose(option);
});

document.addEventListener("focusout", (event) => {
  if (event.target.id === "search") show(false);
});

// --- what the server sent ---

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "main") ($("fault") ?? $("segment") ?? $("main")).focus();
  if (event.detail.target.id !== "codes") return;
  const count = $("codes").querySelectorAll("[role=option]").length;
  show(count > 0 && document.activeElement === $("search"));
  $("codes-count").textContent = word("choices", { count });
  if (first && options().length) choose(options()[0]);
  first = false;
});
