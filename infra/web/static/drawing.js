// What every plot shares: uPlot (a plain script: window.uPlot) in the page's colours, as wide as its place.

const shown = new WeakMap();  // by element, how to take its plot away

export const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function axis(more = {}) {
  const line = { stroke: ink("--line"), width: 1 };
  return { stroke: ink("--muted"), grid: line, ticks: line, ...more };
}

export function plot(element, options, data) {
  shown.get(element)?.();
  element.replaceChildren();
  const chart = new window.uPlot({ width: Math.max(element.clientWidth, 200), ...options }, data, element);
  const watch = new ResizeObserver(() => {
    if (!element.isConnected) remove();
    else if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height: options.height });
  });
  const remove = () => {
    watch.disconnect();
    chart.destroy();
  };
  shown.set(element, remove);
  watch.observe(element);
}

export function onNewColours(draw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
