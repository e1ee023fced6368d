// Saves a drawing of the page as a picture, and the figures of a plot as a table: data-save="png", "svg" or "csv".

const SCALE = 2;  // pixels of the picture for one of the page
const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-size", "font-weight", "font-family", "text-anchor"];

export function save({ save: kind, of, name }) {
  const element = document.getElementById(of);
  const svg = element.querySelector(":scope svg[viewBox]");
  if (kind === "csv") return download(new Blob([table(JSON.parse(element.dataset.chart))], { type: "text/csv" }), name, kind);
  if (!svg) return element.querySelector("canvas")?.toBlob((picture) => download(picture, name, kind));
  const alone = standingAlone(svg);
  if (kind === "svg") return download(new Blob([alone], { type: "image/svg+xml" }), name, kind);
  const { width, height } = svg.getBoundingClientRect();
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE });
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim();
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((picture) => download(picture, name, kind));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(alone)}`;
}

// The picture with the page's colours written into it: as a file it has no style sheet.
function standingAlone(svg) {
  const copy = svg.cloneNode(true);
  const { width, height } = svg.getBoundingClientRect();
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, n) => {
    const style = getComputedStyle(originals[n]);
    for (const property of KEPT) element.setAttribute(property, style.getPropertyValue(property));
  });
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
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
