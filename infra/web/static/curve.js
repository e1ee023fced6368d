// Macro-F1 by labels, from data-curve='{"x", "released", "refused", "low", "high"}'.

import { axis, ink, onNewColours, plot } from "./drawing.js";
import { decimal, word } from "./words.js";

const COLOUR = "#2f7fb8";

function series(points, values) {
  return { scale: "y", spanGaps: true, label: points.label, ...values, points: { show: true, size: 8, ...points.look } };
}

function draw(element) {
  const { x, released, refused, low, high } = JSON.parse(element.dataset.curve);
  const most = Math.max(...x, 1);
  const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
  const options = {
    height: 280,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: [0, Math.ceil(most * 1.05)] }, y: { range: [0, 1] } },
    axes: [
      axis({ label: word("taught"), labelSize: 22 }),
      axis({ label: word("macro_f1"), labelSize: 22, size: 50, values: (_chart, marks) => marks.map((mark) => decimal(mark, 1)) }),
    ],
    bands: [{ series: [2, 1], fill: COLOUR + "26" }],
    series: [
      {},
      edge,
      edge,
      series({ label: "released", look: { fill: COLOUR, stroke: COLOUR } }, { stroke: COLOUR, width: 2 }),
      series({ label: "refused", look: { fill: ink("--surface"), stroke: COLOUR, width: 2 } }, { stroke: COLOUR, paths: () => null }),
    ],
  };
  plot(element, options, [x, low, high, released, refused]);
}

function drawAll() {
  for (const element of document.querySelectorAll("[data-curve]")) draw(element);
}

drawAll();
onNewColours(drawAll);
