// Tables: of structures, with pictures, and of the atoms of one.

import { KCAL, comparable, energyOf, fmaxOf } from "./geometry.js";
import { norm } from "./scene.js";

const MOST_PICTURES = 30;

function row(cells, header = false) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const place = document.createElement(header ? "th" : "td");
    if (header) place.scope = "col";
    place.append(cell);
    line.append(place);
  }
  return line;
}

function chooser(result, number, choose) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = result.id ?? String(number);
  button.addEventListener("click", () => choose(result));
  return button;
}

function image(url, name) {
  if (!url) return "";
  const shown = document.createElement("img");
  shown.src = url;
  shown.alt = `picture of ${name}`;
  return shown;
}

/**
 * Fill the table of structures.
 *
 * results: sorted; picture: makes a picture of a result, or nothing; choose: is called with the result
 * whose button is pressed.
 */
export function fillStructures(table, results, picture, choose) {
  const answered = results.filter((result) => result.status === "ok");
  const relative = comparable(answered) && answered.length > 1;
  table.tHead.replaceChildren(row(["structure", "", "energy, eV", ...(relative ? ["above the lowest, kcal/mol"] : []), "largest force, eV/Å", "doubts"], true));
  const lines = results.map((result, number) => {
    if (result.status !== "ok") {
      const line = row([result.id ?? String(result.item ?? number), result.error.message]);
      line.cells[1].colSpan = relative ? 5 : 4;
      line.cells[1].className = "error";
      return line;
    }
    const name = result.id ?? String(number);
    const shown = number < MOST_PICTURES ? image(picture(result), name) : "";
    const above = KCAL * (energyOf(result) - energyOf(answered[0]));
    const line = row([
      chooser(result, number, choose), shown, energyOf(result).toFixed(4),
      ...(relative ? [above.toFixed(2)] : []), fmaxOf(result).toFixed(3), String(result.warnings?.length ?? 0),
    ]);
    line.dataset.number = number;
    return line;
  });
  table.tBodies[0].replaceChildren(...lines);
  table.hidden = results.length < 2;
}

/** Fill the table of the atoms of a geometry; `named` are those that a warning is about. */
export function fillAtoms(table, { symbols, positions, forces, std }, named) {
  const head = ["atom", "x", "y", "z", ...(forces ? ["force"] : []), ...(std ? ["uncertainty"] : [])];
  table.tHead.replaceChildren(row(head, true));
  const lines = symbols.map((symbol, i) => {
    const numbers = [...positions[i], ...(forces ? [norm(forces[i])] : []), ...(std ? [std[i]] : [])];
    const line = row([`${symbol} ${i}`, ...numbers.map((value) => value.toFixed(3))]);
    if (named.has(i)) line.className = "named";
    return line;
  });
  table.tBodies[0].replaceChildren(...lines);
}
