// The answer: the chosen structure in 3D with its numbers, warnings and curve; tables; downloads.

import { drawCurve } from "./curve.js";
import { atomsIn, showError } from "./errors.js";
import { fmaxOf, geometryOf, sorted } from "./geometry.js";
import { Scene, norm } from "./scene.js";
import { download, saveAs } from "./service.js";
import { fillAtoms, fillStructures } from "./table.js";

const byId = (id) => document.getElementById(id);
const FORMATS = { json: "json", xyz: "xyz", sdf: "sdf", cif: "cif", poscar: "vasp", csv: "csv", parquet: "parquet" };
const scene = new Scene(byId("view"));
let opened = false; // whether there is a view in 3D
let shown = null; // {result, points, body}

/** Show the answer to a request; false where no structure has one. */
export async function show(document, body, points = [], keeps = false) {
  const results = sorted(document.results);
  if (results[0]?.status !== "ok") return false;
  byId("answer").hidden = false;
  opened = await scene.open();
  byId("view").hidden = !opened;
  byId("no-view").hidden = opened;
  byId("no-view").textContent = "This browser has no WebGL, which the view in 3D needs; the numbers are below.";
  shown = { model: document.model, body, points, result: results[0] };
  byId("compare").hidden = !results[0].relaxed;
  fillStructures(byId("structures"), results, results.length > 1 ? picture : () => "", choose);
  choose(results[0], keeps);
  return true;
}

/** Show where a relaxation is. */
export function move(step, points) {
  const { structure } = shown.result;
  if (opened) scene.draw({ symbols: structure.symbols, positions: step.positions, cell: step.cell ?? structure.cell }, true);
  curve(points);
  numbers([["energy", `${step.energy.toFixed(4)} eV`], ["largest force", `${step.fmax.toFixed(4)} eV/Å`], ["steps", step.steps]]);
}

function picture(result) {
  if (!opened) return "";
  scene.draw(geometryOf(result, "after"));
  return scene.picture();
}

function choose(result, keeps = false) {
  shown.result = result;
  for (const line of byId("structures").tBodies[0].rows) {
    line.className = line.cells[0].textContent === (result.id ?? line.dataset.number) ? "chosen" : "";
  }
  curve(shown.points);
  render(keeps);
}

function which() {
  return shown.result.relaxed ? document.querySelector("[name=geometry]:checked").value : "before";
}

function render(keeps = true) {
  const { result } = shown;
  const geometry = geometryOf(result, which() === "before" ? "before" : "after");
  const named = namedAtoms(result, which());
  const values = colours(geometry);
  if (opened) {
    const ghost = which() === "both" ? geometryOf(result, "before") : null;
    const forces = byId("arrows").checked ? geometry.forces : null;
    scene.draw({ ...geometry, forces, values, named, ghost }, keeps);
  }
  tell(result, geometry);
  fillAtoms(byId("atoms"), geometry, named);
}

/** Atoms of the warnings that are about the geometry which is shown. */
function namedAtoms(result, geometry) {
  const other = geometry === "before" ? "after the relaxation: " : "before the relaxation: ";
  const about = (result.warnings ?? []).filter((warning) => !warning.message.startsWith(other));
  return new Set(about.flatMap((warning) => [...atomsIn(warning.message)]));
}

/** The colours of the atoms, 0 to 1, and the legend that says what they mean. */
function colours({ forces, std }) {
  const choice = byId("colour").value;
  const lengths = forces.map(norm);
  const texts = byId("arrows").checked ? [`The longest arrow is ${Math.max(...lengths).toPrecision(3)} eV/Å.`] : [];
  const values = { element: null, force: lengths, std }[choice];
  const most = values && Math.max(...values);
  if (values) texts.push(`Dark is 0, yellow ${most.toPrecision(3)} eV/Å.`);
  else if (choice === "std") texts.push("This model does not tell how uncertain its forces are.");
  byId("legend").textContent = texts.join(" ");
  return values ? values.map((value) => (most ? value / most : 0)) : null;
}

function numbers(pairs) {
  byId("numbers").replaceChildren(...pairs.flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
}

function tell(result, geometry) {
  const { relaxed } = result;
  const off = (std, unit) => (std == null ? "" : ` ± ${std.toPrecision(2)} ${unit}`);
  const pairs = [
    ["structure", `${result.id ?? ""} ${geometry.symbols.length} atoms`.trim()],
    ["energy", `${geometry.energy.toFixed(4)} eV${off(geometry.energyStd, "eV")}`],
    ["largest force", `${Math.max(...geometry.forces.map(norm)).toFixed(4)} eV/Å`],
  ];
  if (geometry.std) pairs.push(["its uncertainty", `at most ${Math.max(...geometry.std).toPrecision(2)} eV/Å`]);
  if (relaxed) {
    pairs.push(["gained by relaxing", `${(result.energy - relaxed.energy).toFixed(4)} eV in ${relaxed.steps} steps`]);
    pairs.push(["ended", `${relaxed.reason}; ${fmaxOf(result).toFixed(4)} eV/Å are left (criterion: ${relaxed.criterion})`]);
  }
  const model = result.model ?? shown.model; // each its own, where several answered
  pairs.push(["model", `${model.name}@${model.version} ${model.digest.slice(0, 12)}`]);
  numbers(pairs);
  byId("warnings").replaceChildren(...(result.warnings ?? []).map(({ code, message }) => {
    const line = document.createElement("li");
    line.textContent = `${code.replaceAll("_", " ")}: ${message}`;
    return line;
  }));
}

function curve(points) {
  byId("course").hidden = points.length < 2;
  if (points.length > 1) drawCurve(byId("curve"), byId("curve-text"), points);
}

async function save(format, button) {
  const place = byId("download-error");
  place.hidden = true;
  button.disabled = true;
  try {
    saveAs(await download(shown.body, format), `equipot.${FORMATS[format]}`);
  } catch (error) {
    showError("download", error.message);
  } finally {
    button.disabled = false;
  }
}

/** Listen to what belongs to the answer. */
export function begin() {
  for (const id of ["colour", "arrows", "compare"]) byId(id).addEventListener("change", () => render());
  for (const format of Object.keys(FORMATS)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = format;
    button.addEventListener("click", () => save(format, button));
    byId("downloads").append(button);
  }
}
