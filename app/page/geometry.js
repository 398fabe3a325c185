// Results of the service as geometries: as it was sent, and relaxed, with what was predicted for each.

export const KCAL = 23.060548; // kcal/mol in an eV

/** The structure of a result before or after its relaxation, with energy and forces of that geometry. */
export function geometryOf(result, which) {
  const { structure } = result;
  const values = which === "after" && result.relaxed ? result.relaxed : result;
  return {
    symbols: structure.symbols,
    positions: values.positions ?? structure.positions,
    cell: values.cell ?? structure.cell,
    energy: values.energy,
    energyStd: values.energy_std,
    forces: values.forces,
    std: values.forces_std,
    stress: values.stress,
  };
}

/** The energy that a result is listed by: of the relaxed geometry where there is one. */
export const energyOf = (result) => (result.relaxed ?? result).energy;

/** What is left of the forces: the relaxation's criterion, or the longest force. */
export function fmaxOf(result) {
  return result.relaxed?.fmax ?? Math.max(...result.forces.map((force) => Math.hypot(...force)));
}

/** Whether results are of one composition, so that their energies may be compared. */
export function comparable(results) {
  const formulas = results.map((result) => [...result.structure.symbols].sort().join(" "));
  return formulas.every((formula) => formula === formulas[0]);
}

/** Answered results first, lowest energy first; those with errors behind them, in their order. */
export function sorted(results) {
  const answered = results.filter((result) => result.status === "ok");
  answered.sort((a, b) => energyOf(a) - energyOf(b));
  return [...answered, ...results.filter((result) => result.status !== "ok")];
}
