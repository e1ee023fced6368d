// Marking parts of a document: whatever is selected in a segment's words can be coded; keys move the selection by words.

const form = document.getElementById("decision");
const passages = () => [...document.querySelectorAll(".words")];
const typing = (target) => target.closest?.("input, textarea, select, button, a") !== null;

// --- places: the document counts in UTF-16 units, the study in code points ---

const points = (text) => [...text].length;

function before(words, node, offset) {
  const range = document.createRange();
  range.selectNodeContents(words);
  range.setEnd(node, offset);
  return range.toString();
}

function place(words, units) {
  const texts = document.createTreeWalker(words, NodeFilter.SHOW_TEXT);
  let left = units;
  while (texts.nextNode()) {
    if (left <= texts.currentNode.length) return [texts.currentNode, left];
    left -= texts.currentNode.length;
  }
  return [words, words.childNodes.length];
}

// --- what is marked ---

function marked() {
  const selection = document.getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const words = (range.startContainer.nodeType === Node.TEXT_NODE ? range.startContainer.parentElement : range.startContainer).closest(".words");
  if (!words || !range.toString().trim()) return null;
  const start = before(words, range.startContainer, range.startOffset).length;
  const end = words.contains(range.endContainer) ? before(words, range.endContainer, range.endOffset).length : words.textContent.length;
  return start < end ? { words, start, end } : null;
}

function show() {
  const part = marked();
  if (!part) return;
  const text = part.words.textContent;
  form.action = form.dataset.base + part.words.dataset.segment + "/spans";
  document.getElementById("span-start").value = points(text.slice(0, part.start));
  document.getElementById("span-end").value = points(text.slice(0, part.end));
  document.getElementById("span-words").textContent = text.slice(part.start, part.end);
  form.hidden = false;
}

function hide() {
  form.hidden = true;
  document.getSelection().removeAllRanges();
}

document.addEventListener("selectionchange", show);
if (form) show();  // what was selected before this script ran
document.getElementById("span-away")?.addEventListener("click", hide);

// --- keys ---

const wordsOf = (text) => [...text.matchAll(/\S+/g)].map((found) => [found.index, found.index + found[0].length]);

function select(words, start, end) {
  document.getSelection().setBaseAndExtent(...place(words, start), ...place(words, end));
  show();  // now: the browser says so later, when the next key may have gone elsewhere
}

function step(event) {
  const part = marked();
  if (!part) return false;
  const all = wordsOf(part.words.textContent);
  const first = all.findLastIndex(([start]) => start <= part.start);
  const last = all.findIndex(([, end]) => end >= part.end);
  const by = event.key === "ArrowRight" ? 1 : -1;
  const from = event.shiftKey ? first : first + by;
  const to = event.shiftKey ? Math.max(last + by, first) : last + by;
  if (from < 0 || to >= all.length) return true;
  select(part.words, all[from][0], all[to][1]);
  return true;
}

function go(by) {
  const all = passages();
  const at = all.indexOf(document.activeElement);
  all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
}

function begin() {
  const words = document.activeElement.closest(".words");
  const first = words && wordsOf(words.textContent)[0];
  if (first) select(words, ...first);
}

document.addEventListener("keydown", (event) => {
  if (!form || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && !form.hidden && event.target.id !== "search") return hide();
  if (typing(event.target)) return;
  const actions = { j: () => go(1), k: () => go(-1), e: begin };
  if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  else if (event.key.startsWith("Arrow") && /Left|Right/.test(event.key) && step(event)) event.preventDefault();
});
