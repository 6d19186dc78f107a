// Line charts as SVG, drawn anew with each wave of steps.

import { make } from "/page/dom.js";

const WIDTH = 360, HEIGHT = 170, LEFT = 44, BOTTOM = 22, TOP = 8, RIGHT = 8;
const MOST = 400; // points of a line

export const colour = (index, count) => `hsl(${(index * 360) / Math.max(count, 1) + 215} 65% 50%)`;

// lines: [{points: [[x, y], ...], colour, dashed}], y finite
export function chart(lines, title, { low, high } = {}) {
  // the lowest of no numbers is infinite, as an energy that is forbidden
  const drawn = lines.map((line) => ({ ...line, points: thinned(line.points.filter(([, y]) => Number.isFinite(y))) }));
  const all = drawn.flatMap((line) => line.points);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  if (!all.length) return svg;
  const xs = all.map(([x]) => x), ys = all.map(([, y]) => y);
  const x0 = Math.min(...xs), x1 = Math.max(...xs, x0 + 1);
  let y0 = low ?? Math.min(...ys), y1 = high ?? Math.max(...ys);
  if (y1 - y0 < 1e-9) y0 -= 0.5, y1 += 0.5;
  const x = (value) => LEFT + ((value - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (value - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM);
  for (const tick of ticks(y0, y1)) {
    svg.append(
      make("line", { svg: 1, x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), stroke: "var(--line)" }),
      make("text", { svg: 1, x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" }, label(tick)));
  }
  for (const tick of ticks(x0, x1).filter(Number.isInteger))
    svg.append(make("text", { svg: 1, x: x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, label(tick)));
  for (const line of drawn) {
    const path = line.points.map(([a, b], at) => `${at ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    svg.append(make("path", { svg: 1, d: path, fill: "none", stroke: line.colour, "stroke-width": 1.5,
      "stroke-dasharray": line.dashed ? "5 4" : null, "stroke-linejoin": "round" }));
    if (line.points.length === 1) {
      const [[a, b]] = line.points;
      svg.append(make("circle", { svg: 1, cx: x(a), cy: y(b), r: 3, fill: line.colour }));
    }
  }
  return svg;
}

function thinned(points) {
  if (points.length <= MOST) return points;
  const every = points.length / MOST;
  return [...Array(MOST).keys()].map((at) => points[Math.floor(at * every)]).concat([points[points.length - 1]]);
}

function ticks(low, high) {
  const rough = (high - low) / 4, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((one) => one * size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Number(at.toFixed(10)));
  return found;
}

const label = (value) => (Math.abs(value) >= 10000 ? `${Math.round(value / 1000)}k` : String(Number(value.toPrecision(4))));
