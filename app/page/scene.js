// The scene: a structure in 3D by 3Dmol.js, which is loaded with the first one.

const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // viridis
const ARROW = 1.2; // Å of the longest force arrow
const TURN = 15; // degrees a key press
const NAMED = "#d97706";
const GHOST = "#94a3b8";

/** The colour of a part, 0 to 1, of the largest value. */
export function colourOf(part) {
  const at = Math.min(Math.max(part, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  const mixed = STOPS[low].map((value, i) => Math.round(value + (at - low) * (STOPS[low + 1][i] - value)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

export const norm = (vector) => Math.hypot(...vector);
const point = ([x, y, z]) => ({ x, y, z });
const plus = (a, b, times = 1) => a.map((value, i) => value + times * b[i]);

function xyz({ symbols, positions }) {
  return [symbols.length, "", ...symbols.map((symbol, i) => [symbol, ...positions[i]].join(" "))].join("\n");
}

function load() {
  if (window.$3Dmol) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "page/vendor/3dmol/3Dmol-min.js";
    script.onload = resolve;
    script.onerror = () => reject(new Error("3Dmol.js could not be loaded"));
    document.head.append(script);
  });
}

function drawsWebGL() {
  return Boolean(document.createElement("canvas").getContext("webgl2"));
}

/** A view of one structure in an element; after `open`. */
export class Scene {
  constructor(element) {
    this.element = element;
    this.viewer = null;
  }

  /** Load what is needed; false where the browser has no WebGL. */
  async open() {
    if (this.viewer) return true;
    if (!drawsWebGL()) return false;
    await load();
    this.viewer = window.$3Dmol.createViewer(this.element, { backgroundAlpha: 0 });
    this.element.addEventListener("keydown", (event) => this.key(event));
    return true;
  }

  key(event) {
    const turns = { ArrowLeft: [-TURN, "y"], ArrowRight: [TURN, "y"], ArrowUp: [-TURN, "x"], ArrowDown: [TURN, "x"] };
    const zooms = { "+": 1.2, "-": 1 / 1.2 };
    if (turns[event.key]) this.viewer.rotate(...turns[event.key]);
    else if (zooms[event.key]) this.viewer.zoom(zooms[event.key]);
    else return;
    event.preventDefault();
    this.viewer.render();
  }

  /**
   * Draw a structure.
   *
   * what: symbols, positions; cell, forces, values (one an atom, 0 to 1, for colours), named (a set of
   * atoms), ghost (another geometry, drawn thin), or any of these missing.
   * keeps: whether the camera stays where it is.
   */
  draw(what, keeps = false) {
    const { viewer } = this;
    viewer.removeAllModels();
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    viewer.addModel(xyz(what), "xyz");
    const colours = what.values ? { colorfunc: (atom) => colourOf(what.values[atom.index]) } : {};
    viewer.setStyle({ model: 0 }, { stick: { radius: 0.12, ...colours }, sphere: { scale: 0.24, ...colours } });
    if (what.ghost) {
      viewer.addModel(xyz(what.ghost), "xyz");
      viewer.setStyle({ model: 1 }, { stick: { radius: 0.05, color: GHOST } });
    }
    for (const atom of what.named ?? []) this.mark(what, atom);
    if (what.forces) this.arrows(what);
    if (what.cell) this.box(what.cell);
    viewer.setClickable({ model: 0 }, true, (atom) => this.tell(what, atom));
    if (!keeps) viewer.zoomTo();
    viewer.render();
  }

  mark({ symbols, positions }, atom) {
    if (!positions[atom]) return;
    this.viewer.addSphere({ center: point(positions[atom]), radius: 0.7, color: NAMED, alpha: 0.45 });
    this.viewer.addLabel(`${symbols[atom]} ${atom}`, { position: point(positions[atom]), fontSize: 12 });
  }

  arrows({ positions, forces }) {
    const most = Math.max(...forces.map(norm));
    if (!most) return;
    forces.forEach((force, i) => {
      if (norm(force) < 0.03 * most) return;
      const end = plus(positions[i], force, ARROW / most);
      this.viewer.addArrow({ start: point(positions[i]), end: point(end), radius: 0.06, color: "#dc2626" });
    });
  }

  box(cell) {
    for (const [axis, others] of [[0, [1, 2]], [1, [0, 2]], [2, [0, 1]]]) {
      const corners = [[0, 0, 0], cell[others[0]], cell[others[1]], plus(cell[others[0]], cell[others[1]])];
      for (const corner of corners) {
        this.viewer.addLine({ start: point(corner), end: point(plus(corner, cell[axis])), color: "#64748b" });
      }
    }
  }

  tell({ symbols, forces }, atom) {
    const force = forces ? `, ${norm(forces[atom.index]).toFixed(3)} eV/Å` : "";
    this.viewer.addLabel(`${symbols[atom.index]} ${atom.index}${force}`, { position: atom, fontSize: 12 });
    this.viewer.render();
  }

  /** The picture as the URL of its data. */
  picture() {
    return this.viewer.pngURI();
  }
}
