// Macro-F1 by labels with uPlot (a plain script: window.uPlot), from data-curve='{"x", "released", "refused", "low", "high"}'.

const HEIGHT = 280;
const COLOUR = "#2f7fb8";

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function axis(label, more = {}) {
  const line = { stroke: ink("--line"), width: 1 };
  return { label, stroke: ink("--muted"), grid: line, ticks: line, labelSize: 22, ...more };
}

function series(points, values) {
  return { scale: "y", spanGaps: true, label: points.label, ...values, points: { show: true, size: 8, ...points.look } };
}

function draw(element) {
  const { x, released, refused, low, high } = JSON.parse(element.dataset.curve);
  const most = Math.max(...x, 1);
  const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
  const options = {
    width: Math.max(element.clientWidth, 200),
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: [0, Math.ceil(most * 1.05)] }, y: { range: [0, 1] } },
    axes: [axis("Segments taught"), axis("Macro-F1", { size: 50, values: (_chart, marks) => marks.map((mark) => mark.toFixed(1)) })],
    bands: [{ series: [2, 1], fill: COLOUR + "26" }],
    series: [
      {},
      edge,
      edge,
      series({ label: "released", look: { fill: COLOUR, stroke: COLOUR } }, { stroke: COLOUR, width: 2 }),
      series({ label: "refused", look: { fill: ink("--surface"), stroke: COLOUR, width: 2 } }, { stroke: COLOUR, paths: () => null }),
    ],
  };
  element.replaceChildren();
  const chart = new window.uPlot(options, [x, low, high, released, refused], element);
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
  for (const element of document.querySelectorAll("[data-curve]")) draw(element);
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
