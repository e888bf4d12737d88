// Small plots as SVG: sparklines for a table's cells, and larger ones with axes. Colours come from the style sheet.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

const isNumber = (value) => value !== null && value !== undefined;

/** How figures are said: `scale` of what is measured to what is shown; `least`: the smallest top of an axis. */
export const MEASURES = {
  loss: { unit: "%", scale: 100, digits: 1, least: 5 },
  jitter: { unit: "ms", scale: 1, digits: 0, least: 20 },
  latency: { unit: "ms", scale: 1, digits: 0, least: 100 },
  answer: { unit: "s", scale: 0.001, digits: 1, least: 2 },
};

/** A measured value with its unit; a dash for none. */
export function said(name, value) {
  if (!isNumber(value)) return "–";
  const { unit, scale, digits } = MEASURES[name];
  const shown = value * scale;
  return `${shown.toFixed(shown !== 0 && shown < 10 ? digits : 0)} ${unit}`;
}

/** The last value that was measured; null for none. */
export function last(points) {
  for (let index = points.length - 1; index >= 0; index -= 1) if (isNumber(points[index][1])) return points[index][1];
  return null;
}

function top(name, points) {
  const { scale, least } = MEASURES[name];
  const most = Math.max(least, ...points.filter((point) => isNumber(point[1])).map((point) => point[1] * scale));
  const step = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((times) => times * step).find((round) => round >= most);
}

/** Runs of measured neighbours: what was not measured is a gap, unless `bridges`. */
function runs(points, bridges) {
  const found = [[]];
  for (const point of points) {
    if (isNumber(point[1])) found.at(-1).push(point);
    else if (!bridges && found.at(-1).length) found.push([]);
  }
  return found.filter((run) => run.length);
}

function draw(svg, name, points, box, bridges) {
  const { scale } = MEASURES[name];
  const height = top(name, points);
  const begin = points[0][0];
  const span = Math.max(1, points.at(-1)[0] - begin);
  const place = ([at, value]) => {
    const x = box.left + ((at - begin) / span) * box.width;
    const y = box.top + (1 - Math.min(1, (value * scale) / height)) * box.height;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  for (const run of runs(points, bridges)) {
    if (run.length === 1) {
      const [x, y] = place(run[0]).split(",");
      svg.append(element("circle", { cx: x, cy: y, r: 2, class: "dot" }));
    } else {
      svg.append(element("polyline", { points: run.map(place).join(" "), class: "curve" }));
    }
  }
  return height;
}

/** Draws `points` ([time, value or null]) into `svg`, which says nothing to a screen reader: its cell has the last value as text. */
export function sparkline(svg, name, points) {
  svg.replaceChildren();
  if (!points.some((point) => isNumber(point[1]))) return;
  svg.setAttribute("viewBox", "0 0 72 22");
  draw(svg, name, points, { left: 2, top: 3, width: 68, height: 16 }, name === "latency");
}

/** The same with a grid, the axes' numbers and `texts`: {now, ago(seconds), alternative(values)}. */
export function plot(svg, name, points, texts) {
  svg.replaceChildren();
  const values = points.map((point) => point[1]).filter(isNumber);
  if (!values.length) return;
  svg.setAttribute("viewBox", "0 0 300 110");
  const box = { left: 40, top: 8, width: 252, height: 78 };
  const height = top(name, points);
  for (const share of [0, 0.5, 1]) {
    const y = box.top + (1 - share) * box.height;
    svg.append(element("line", { x1: box.left, x2: box.left + box.width, y1: y, y2: y, class: "grid" }));
    const number = height * share;
    svg.append(element("text", { x: box.left - 6, y: y + 4, class: "axis end" }, Number.isInteger(number) ? number : number.toFixed(1)));
  }
  const seconds = Math.round(points.at(-1)[0] - points[0][0]);
  svg.append(element("text", { x: box.left, y: 104, class: "axis" }, texts.ago(seconds)));
  svg.append(element("text", { x: box.left + box.width, y: 104, class: "axis end" }, texts.now));
  draw(svg, name, points, box, name === "latency" || name === "answer");
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const alternative = texts.alternative({ last: said(name, values.at(-1)), least: said(name, least), most: said(name, most), seconds });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", alternative);
}
