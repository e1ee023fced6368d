// Lines over time, from data-chart='{"x": [s], "series": [{label, values}]}'.

import { axis, onNewColours, plot } from "./drawing.js";
import { locale, word } from "./words.js";

const COLOURS = ["#2f7fb8", "#d9822b", "#3a9c5f", "#b64a76", "#7d62c3", "#a08620", "#2a9d9d", "#c0473c"];
const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];

// Dates and times as the reader's language has them, in the days and hours that were counted: those of UTC.
const UTC = { timeZone: "UTC" };
const day = new Intl.DateTimeFormat(locale, { ...UTC, day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat(locale, { ...UTC, hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(locale, { ...UTC, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

const byDay = (x) => x.length > 1 && x[1] - x[0] >= 86_400;

function times(x) {
  const write = (at, step) => (step < 86_400 ? hour : day).format(at * 1000);
  const options = { values: (_chart, marks, _axis, _space, step) => marks.map((at) => write(at, step)) };
  const days = [1, 2, 3, 5, 7, 14, 30, 60, 90].map((n) => n * 86_400);  // a day has no hours to mark
  return axis(byDay(x) ? { ...options, incrs: days } : options);
}

function counts() {
  return axis({ incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000] });
}

// The legend says what is under the mouse, and where there is none the newest, so that it is read without one.
function draw(element) {
  const { x, series } = JSON.parse(element.dataset.chart);
  const write = (at) => (byDay(x) ? day.format(at) : `${moment.format(at)} UTC`);
  const options = {
    height: 260,
    tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), "UTC"),
    scales: { y: { range: (_chart, _low, high) => [0, Math.max(high, 1)] } },
    axes: [times(x), counts()],
    series: [
      { label: word("time"), value: (_chart, at) => write((at ?? x.at(-1)) * 1000) },
      ...series.map((one, n) => ({
        label: one.label,
        value: (_chart, count) => count ?? one.values.at(-1),
        stroke: COLOURS[n % COLOURS.length],
        dash: DASHES[Math.floor(n / 2) % DASHES.length],
        width: 2,
        points: { show: false },
      })),
    ],
  };
  plot(element, options, [x, ...series.map((one) => one.values)]);
}

export function drawCharts(root = document) {
  for (const element of root.querySelectorAll("[data-chart]:empty")) draw(element);
}

onNewColours(() => {
  for (const element of document.querySelectorAll("[data-chart]")) draw(element);
});
