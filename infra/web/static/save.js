// Saves a drawing of the page as a picture, and the figures of a plot as a table: data-save="png", "svg" or "csv".

const SCALE = 2;  // pixels of the picture for one of the page
const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-size", "font-weight", "font-family", "text-anchor"];

const SVG = "http://www.w3.org/2000/svg";
const LINE = 22;  // pixels from one line of the legend to the next

export function save({ save: kind, of, name }) {
  const element = document.getElementById(of);
  if (kind === "csv") return download(new Blob([table(JSON.parse(element.dataset.chart))], { type: "text/csv" }), name, kind);
  const drawing = element.querySelector(":scope svg[viewBox]") ?? element.querySelector("canvas");
  if (!drawing) return;
  const { width, height, written } = standingAlone(drawing, legend(element));
  if (kind === "svg") return download(new Blob([written], { type: "image/svg+xml" }), name, kind);
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((picture) => download(picture, name, kind));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(written)}`;
}

// What the page says beside a drawing: the colours with their names, of charts.py or of uPlot.
function legend(element) {
  const ours = [...element.querySelectorAll(".legend li")].map((item) => [item.textContent, getComputedStyle(item.querySelector("rect")).fill]);
  const plots = [...element.querySelectorAll(".u-series + .u-series")].map((row) => [row.querySelector(".u-label").textContent, getComputedStyle(row.querySelector(".u-marker")).borderTopColor]);
  return [...ours, ...plots];
}

function make(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// The drawing on the page's ground, and the names below it: as a file it has no page around it.
function standingAlone(drawing, names) {
  const { width, height } = drawing.getBoundingClientRect();
  const page = getComputedStyle(document.documentElement);
  const font = getComputedStyle(document.body).fontFamily;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `13px ${font}`;
  const entries = [];
  let x = 8;
  let y = height + LINE;
  for (const [label, colour] of names) {
    const wide = 18 + pen.measureText(label).width;
    if (x > 8 && x + wide > width) [x, y] = [8, y + LINE];
    entries.push(make("rect", { x, y: y - 10, width: 11, height: 11, rx: 2, fill: colour }));
    entries.push(make("text", { x: x + 18, y, fill: page.getPropertyValue("--ink").trim(), "font-size": 13, "font-family": font }, label));
    x += wide + 18;
  }
  const whole = names.length ? y + LINE / 2 : height;
  const alone = make("svg", { width, height: whole, viewBox: `0 0 ${width} ${whole}` });
  alone.append(make("rect", { width, height: whole, fill: page.getPropertyValue("--surface").trim() }), copied(drawing, width, height), ...entries);
  return { width, height: whole, written: new XMLSerializer().serializeToString(alone) };
}

function copied(drawing, width, height) {
  if (drawing instanceof HTMLCanvasElement) return make("image", { width, height, href: drawing.toDataURL() });
  return withColours(drawing, width, height);
}

// The picture with the page's colours written into it: as a file it has no style sheet.
function withColours(svg, width, height) {
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, n) => {
    const style = getComputedStyle(originals[n]);
    for (const property of KEPT) element.setAttribute(property, style.getPropertyValue(property));
  });
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  return copy;
}

const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));

function table({ x, series }) {
  const safe = (label) => (/^[=+\-@\t\r]/.test(label) ? `'${label}` : label);  // no formula when a spreadsheet opens it
  const rows = x.map((at, n) => [new Date(at * 1000).toISOString(), ...series.map((one) => one.values[n])]);
  return [["time", ...series.map((one) => safe(one.label))], ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function download(blob, name, kind) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.${kind}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
