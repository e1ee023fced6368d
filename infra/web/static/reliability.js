// Confidence against what people said with uPlot (a plain script: window.uPlot), from data-reliability='{"x": [], "y": []}'.

const HEIGHT = 280;
const OBSERVED = "#2f7fb8";

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const percent = (_chart, values) => values.map((value) => `${Math.round(value * 100)} %`);

function axis(label) {
  const line = { stroke: ink("--line"), width: 1 };
  return { label, stroke: ink("--muted"), grid: line, ticks: line, values: percent, size: 56, labelSize: 22 };
}

function draw(element) {
  const { x, y } = JSON.parse(element.dataset.reliability);
  const places = [...new Set([0, ...x, 1])].sort((a, b) => a - b);  // the diagonal runs from corner to corner
  const observed = places.map((place) => (x.includes(place) ? y[x.indexOf(place)] : null));
  const options = {
    width: Math.max(element.clientWidth, 200),
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1] } },
    axes: [axis("Confidence"), axis("Accepted by people")],
    series: [
      {},
      { stroke: ink("--muted"), dash: [6, 4], width: 1, points: { show: false } },
      { stroke: OBSERVED, width: 2, spanGaps: true, points: { show: true, size: 8, fill: OBSERVED } },
    ],
  };
  element.replaceChildren();
  const chart = new window.uPlot(options, [places, places, observed], element);
  const watch = new ResizeObserver(() => {
    if (!element.isConnected) {
      watch.disconnect();
      chart.destroy();
    } else if (element.clientWidth > 0) {
      chart.setSize({ width: element.clientWidth, height: HEIGHT });
    }
  });
  watch.observe(element);
}

function drawAll() {
  for (const element of document.querySelectorAll("[data-reliability]")) draw(element);
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
