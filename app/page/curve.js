// The curve of a relaxation: energy, relative to the first, over steps.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600, HEIGHT = 170, LEFT = 70, BOTTOM = 25, TOP = 8;

function made(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** Draw points `{steps, energy}`; energies in eV. */
export function drawCurve(svg, caption, points) {
  const first = points[0].energy;
  const heights = points.map(({ energy }) => 1000 * (energy - first));
  const low = Math.min(...heights), high = Math.max(...heights), last = Math.max(points.at(-1).steps, 1);
  const x = (steps) => LEFT + (steps / last) * (WIDTH - LEFT - 10);
  const y = (height) => TOP + ((high - height) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const line = points.map(({ steps }, i) => `${i ? "L" : "M"}${x(steps).toFixed(1)} ${y(heights[i]).toFixed(1)}`);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.replaceChildren(
    made("line", { x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM }),
    made("line", { x1: LEFT, x2: WIDTH - 10, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    made("text", { x: LEFT - 6, y: TOP + 10, "text-anchor": "end" }, `${high.toFixed(1)} meV`),
    made("text", { x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end" }, low.toFixed(1)),
    made("text", { x: WIDTH - 10, y: HEIGHT - 8, "text-anchor": "end" }, `${points.at(-1).steps} steps`),
    made("path", { d: line.join("") }),
  );
  const told = `Energy after ${points.at(-1).steps} steps: ${heights.at(-1).toFixed(1)} meV from the start`;
  svg.setAttribute("aria-label", told);
  caption.textContent = `${told}.`;
}
