// What is wrong with a page as it stands, in words: names, headings, contrast (WCAG 2, AA), width.
() => {
  const faults = [];
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const brief = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const named = (e) => [e.getAttribute("aria-label"), e.title, e.innerText, e.alt, ...[...(e.labels ?? [])].map((l) => l.innerText),
    ...(e.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => id && document.getElementById(id)?.innerText)]
    .some((words) => words && words.trim());
  const titles = [...document.querySelectorAll("h1")].filter(shown);
  if (titles.length !== 1) faults.push(`${titles.length} first-level headings`);
  if (!document.title.trim() || !document.documentElement.lang) faults.push("no title or no language");
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a[href], img, [role=button]"))
    if (shown(e) && !named(e)) faults.push(`without a name: ${brief(e)}`);
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) faults.push(`tab order forced: ${brief(e)}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, n) => ids.indexOf(id) !== n))) faults.push(`id twice: ${id}`);
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth)
    faults.push(`scrolls sideways: ${document.documentElement.scrollWidth} px wide`);

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, n) => c * a / 255 + under[n] * (1 - a / 255));
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 255) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(e) || !shown(e) || e.closest(":disabled, .visually-hidden, .skip, svg, script, style, option")) continue;
    seen.add(e);
    const style = getComputedStyle(e), behind = ground(e);
    const [low, high] = [light(over(rgba(style.color), behind)), light(behind)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${brief(e)}`);
  }
  return faults;
}
