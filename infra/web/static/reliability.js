// Confidence against what people said, from data-reliability='{"x": [], "y": []}'.

import { axis, ink, onNewColours, plot } from "./drawing.js";
import { word } from "./words.js";

const OBSERVED = "#2f7fb8";
const percent = (_chart, values) => values.map((value) => `${Math.round(value * 100)} %`);
const LOOK = { values: percent, size: 56, labelSize: 22 };

function draw(element) {
  const { x, y } = JSON.parse(element.dataset.reliability);
  const places = [...new Set([0, ...x, 1])].sort((a, b) => a - b);  // the diagonal runs from corner to corner
  const observed = places.map((place) => (x.includes(place) ? y[x.indexOf(place)] : null));
  const options = {
    height: 280,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1] } },
    axes: [axis({ label: word("confidence"), ...LOOK }), axis({ label: word("let_stand"), ...LOOK })],
    series: [
      {},
      { stroke: ink("--muted"), dash: [6, 4], width: 1, points: { show: false } },
      { stroke: OBSERVED, width: 2, spanGaps: true, points: { show: true, size: 8, fill: OBSERVED } },
    ],
  };
  plot(element, options, [places, places, observed]);
}

function drawAll() {
  for (const element of document.querySelectorAll("[data-reliability]")) draw(element);
}

drawAll();
onNewColours(drawAll);
