// A plot of one or several values over a coordinate, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600, HEIGHT = 220, LEFT = 80, BOTTOM = 30, TOP = 10, RIGHT = 12;

function made(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

const short = (value) => Number(value.toPrecision(4)).toString();

/** Points of one line; where a value is missing, the line is interrupted. */
function path(x, y, values) {
  let pen = "M";
  return x.map((at, i) => {
    if (values[i] === null || values[i] === undefined) {
      pen = "M";
      return "";
    }
    const point = `${pen}${at.toFixed(1)} ${y(values[i]).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}

/**
 * Draw a plot.
 *
 * x: coordinates; y: a value for each, or a list of values for each; xUnit, yUnit: what they are; dots:
 * whether points are marked; marks: `{label, at}` of special coordinates.
 */
export function drawProfile(svg, caption, { x, y, xUnit, yUnit, dots = false, marks = [] }) {
  const lines = Array.isArray(y[0]) ? y[0].map((_, i) => y.map((row) => row[i])) : [y];
  const all = lines.flat().filter((value) => value !== null && value !== undefined);
  const low = Math.min(...all), high = Math.max(...all), first = Math.min(...x), last = Math.max(...x);
  const across = (at) => LEFT + ((at - first) / (last - first || 1)) * (WIDTH - LEFT - RIGHT);
  const up = (value) => TOP + ((high - value) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const places = x.map(across), floor = HEIGHT - BOTTOM;
  const points = dots ? lines[0].flatMap((value, i) => (value == null ? [] : [made("circle", { cx: places[i], cy: up(value), r: 3 })])) : [];
  const ends = marks.length
    ? marks.flatMap(({ label, at }) => [
      made("line", { x1: across(at), x2: across(at), y1: TOP, y2: floor }),
      made("text", { x: across(at), y: HEIGHT - 10, "text-anchor": "middle" }, label),
    ])
    : [
      made("text", { x: LEFT, y: HEIGHT - 10 }, short(first)),
      made("text", { x: WIDTH - RIGHT, y: HEIGHT - 10, "text-anchor": "end" }, `${short(last)} ${xUnit}`),
    ];
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.replaceChildren(
    made("line", { x1: LEFT, x2: LEFT, y1: TOP, y2: floor }),
    made("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: floor, y2: floor }),
    made("text", { x: LEFT - 6, y: TOP + 10, "text-anchor": "end" }, short(high)),
    made("text", { x: LEFT - 6, y: floor, "text-anchor": "end" }, short(low)),
    ...ends,
    ...lines.map((line) => made("path", { d: path(places, up, line) })),
    ...points,
  );
  const told = `${x.length} points from ${short(first)} to ${short(last)} ${xUnit}; ${short(low)} to ${short(high)} ${yUnit}`;
  svg.setAttribute("aria-label", told);
  caption.textContent = `${told}.`;
}
