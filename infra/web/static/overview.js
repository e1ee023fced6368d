// Live counts and the newest segments. The server sends at most one event a second, and each says everything, so
// that a page draws a bounded table at most once a second however much comes in.

import { drawCharts } from "./charts.js";
import { learn, locale, word } from "./words.js";

const table = document.getElementById("newest");
const state = document.getElementById("live-state");
const pause = document.getElementById("pause");
const shown = Number(table.dataset.shown);
const number = new Intl.NumberFormat(locale);
let waiting = null;  // the newest event that is not drawn yet
let paused = false;

function cell(...inside) {
  const td = document.createElement("td");
  td.append(...inside);
  return td;
}

function tag(text, kind = "") {
  const span = document.createElement("span");
  span.className = `tag ${kind}`.trim();
  span.textContent = text;
  return span;
}

function uncoded(one) {
  if (one.by === "undecided") return word("undecided");
  return one.proposed && !one.by ? word("proposed", { code: one.proposed }) : word("no_code");
}

function code(one) {
  const td = cell(tag(one.code ?? uncoded(one)));
  if (one.by === "people" || one.by === "adjudication") td.append(" ", tag(word(one.by), "good"));
  else if (one.new && one.by === "model") td.append(" ", tag(word("new"), "good"));
  return td;
}

function row(one) {
  const link = document.createElement("a");
  link.href = table.dataset.segments + encodeURIComponent(one.id);
  link.textContent = one.text || word("empty");
  const confidence = cell(one.confidence === null ? "–" : `${Math.round(one.confidence * 100)} %`);
  confidence.className = "num";
  const route = one.route === "people" ? tag(word("to_people"), "warn") : one.route ? tag(word(one.route)) : "–";
  const tr = document.createElement("tr");
  if (one.blind) tr.append(cell(link), cell(tag(word("blind"))), cell(), cell());
  else tr.append(cell(link), code(one), confidence, cell(route));
  return tr;
}

function draw() {
  const event = waiting;
  waiting = null;
  if (event === null) return;
  for (const [name, count] of Object.entries(event.counts)) {
    const place = document.querySelector(`[data-count="${CSS.escape(name)}"]`);
    if (place) place.textContent = number.format(count);
  }
  if (event.stage) document.getElementById("stage").textContent = word(event.stage);
  const busy = table.tBodies[0].contains(document.activeElement);  // never take a link away from under the keyboard
  if (!paused && !busy && event.newest.length) table.tBodies[0].replaceChildren(...event.newest.slice(0, shown).map(row));
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function listen() {
  const source = new EventSource(table.dataset.events);  // comes back by itself when the line is cut
  source.addEventListener("open", () => say(word("live")));
  source.addEventListener("error", () => {
    say(word("cut"));
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);  // it was refused, not cut
  });
  source.addEventListener("live", (event) => {
    const first = waiting === null;
    waiting = JSON.parse(event.data);
    if (first) requestAnimationFrame(draw);
  });
  addEventListener("pagehide", () => source.close(), { once: true });
  addEventListener("pageshow", (event) => event.persisted && listen(), { once: true });  // back from the history
}

function begin() {
  learn("/language/overview.json").then(listen, () => setTimeout(begin, 5000));
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
});

const codes = document.getElementById("codes-over-time");
setInterval(() => {
  const open = codes.querySelector("details[open]") || codes.contains(document.activeElement);  // somebody reads it
  const address = codes.querySelector("[data-address]")?.dataset.address;
  if (!open && !document.hidden && address) window.htmx.ajax("GET", address, { target: codes });
}, 60_000);

document.addEventListener("htmx:afterSwap", (event) => drawCharts(event.detail.target));
addEventListener("DOMContentLoaded", () => drawCharts(), { once: true });
if (document.readyState === "complete") drawCharts();
begin();
