// What every page shares: notices, the help about keys, times as the reader writes them, HTMX's manners.

import { locale, word } from "./words.js";

const SHOWN_MS = 6000;

export const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null;

export function notify(text, kind = "") {
  const notice = document.createElement("div");
  notice.className = `notice ${kind}`.trim();
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet";
  close.textContent = word("close");
  close.addEventListener("click", () => notice.remove());
  notice.append(words, close);
  document.getElementById("notices").append(notice);
  if (kind !== "bad") setTimeout(() => notice.remove(), SHOWN_MS);
}

// --- times ---

// What was done, in the reader's own zone; when a text was said, as it is kept: in UTC, so that a file's dates stay.
const zoned = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const keptTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const keptDay = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });

function written(moment, kept) {
  if (kept === "day") return keptDay.format(moment);
  return kept ? `${keptTime.format(moment)} UTC` : zoned.format(moment);
}

function writeTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-utc])")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.dataset.utc = element.textContent;
    if (!element.dataset.kept) element.title = moment.toISOString().replace("T", " ").slice(0, 19) + " UTC";
    element.textContent = written(moment, element.dataset.kept);
  }
}

// --- tables and drawings that are wider than the screen: the arrow keys move them, too ---

function focusWhatScrolls() {
  for (const wide of document.querySelectorAll(".table, .drawing")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  }
}

addEventListener("resize", focusWhatScrolls);
document.addEventListener("toggle", focusWhatScrolls, true);
document.addEventListener("htmx:afterSwap", focusWhatScrolls);

// --- HTMX ---

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.parameters.csrf ??= document.querySelector('meta[name="csrf"]').content;
});

document.addEventListener("htmx:responseError", (event) => {
  const answer = event.detail.xhr;
  if (answer.status === 401) return location.reload();  // the session is over: the sign-in leads back here
  notify(reason(answer) || word("failed", { status: answer.status }), "bad");
});

document.addEventListener("htmx:sendError", () => notify(word("unreachable"), "bad"));

function reason(answer) {
  const type = answer.getResponseHeader("Content-Type") ?? "";
  if (type.includes("json")) {
    try { return String(JSON.parse(answer.responseText).detail ?? ""); } catch { return ""; }
  }
  const page = new DOMParser().parseFromString(answer.responseText, "text/html");
  const said = [".notice.bad", ".notice", ".empty p", "p"].map((where) => page.querySelector(where)).find(Boolean);
  return (said?.textContent ?? "").trim().slice(0, 300);
}

// A handler says something in passing by the header HX-Trigger: {"notice": {"text": "...", "kind": "good"}}.
document.addEventListener("notice", (event) => notify(event.detail.text ?? String(event.detail.value), event.detail.kind));
document.addEventListener("htmx:afterSwap", (event) => writeTimes(event.detail.target ?? document));
document.addEventListener("htmx:oobAfterSwap", (event) => writeTimes(event.detail.target ?? document));
document.addEventListener("htmx:sseMessage", () => writeTimes(document));

// --- keys ---

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") open("keys-help", event);
  if (event.key === "/") {
    const search = document.querySelector("[data-search], main input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

function open(id, event) {
  event.preventDefault();
  document.getElementById(id)?.showModal();
}

// Scrolls the navigation to the page's own entry. scrollIntoView would also have the tab key start there (Chromium 150).
function showWhereWeAre() {
  const entry = document.querySelector(".site-nav [aria-current]");
  const list = entry?.closest("ul");
  if (!list) return;
  const { left, width } = entry.getBoundingClientRect();
  list.scrollLeft += left + width / 2 - list.getBoundingClientRect().left - list.clientWidth / 2;
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) open(opener.dataset.opens, event);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-save]");
  if (button) (await import("./save.js")).save(button.dataset);
});

writeTimes(document);
focusWhatScrolls();
showWhereWeAre();
