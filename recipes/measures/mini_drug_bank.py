"""Drug-like molecules: single points against GFN2-xTB, and relaxations against its minima.

    python -m recipes.measures.mini_drug_bank --molecules MiniDrugBank.sdf --cache FOLDER --model NAME

Each molecule is relaxed from its own geometry with the default options. Root mean square distances
are of the heavy atoms, over all ways to map a molecule onto itself; energies above the minimum are
those that GFN2-xTB gives the model's geometry, and are negative where it found a lower minimum.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import CalculationFailed
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from app.formats.files import read_structures
from app.protocol.response import Answered, Result
from app.relax import RelaxOptions
from app.relax.bonds import changed_bonds
from recipes.measures import gfn2, minima
from recipes.measures.cache import Cache, Record
from recipes.measures.model import add_model_options, opened
from recipes.measures.molecules import Array, Molecule, group_of, read_molecules, structure_of
from recipes.measures.results import deviations, publish, table

CLOSE = 0.1  # Å
MATCHES = 10_000  # of a molecule onto itself, at most


def main() -> None:
    """Measure and print."""
    options = _options()
    pairs = zip(read_molecules(options.molecules), read_structures(options.molecules), strict=True)
    ranked = sorted(pairs, key=lambda pair: pair[0].rank)[: options.count]
    molecules = [molecule for molecule, _ in ranked]
    cache = Cache(options.cache, "minima")
    with opened(options) as model:
        stated = model.ask_frames([frame for _, frame in ranked])
        points = model.ask([molecule.structure for molecule in molecules])
        ends = model.ask([molecule.structure for molecule in molecules], RelaxOptions())
        records = [
            record(molecule, point, end, cache.get(minima.key(molecule)))
            for molecule, point, end in zip(molecules, points, ends, strict=True)
        ]
        answered = sum(isinstance(result, Answered) for result in stated)
        publish(
            options,
            model,
            [answers(records, answered), single_points(records), relaxations(records)],
            {"answered_as_stated": answered, "molecules": records},
        )


def record(molecule: Molecule, point: Result, end: Result, reference: Record | None) -> Record:
    """Everything that is measured of one molecule; what is not known is left out."""
    found: Record = {
        "name": molecule.name,
        "group": group_of(molecule),
        "atoms": len(molecule.numbers),
        "charge": molecule.charge,
        "reference": reference is not None,
    }
    if not isinstance(point, Answered):
        return found | {"error": f"{type(point).__name__}: {point}"}
    if reference is not None:
        found |= _errors(point, reference)
        minimum = structure_of(molecule.numbers, np.array(reference["minimum"]), molecule.charge)
        found["reference_changed"] = bool(changed_bonds(molecule.structure, minimum))
    if not isinstance(end, Answered) or end.relaxed is None:
        return found | {"relaxation_error": str(end)}
    found |= {
        "converged": end.relaxed.converged,
        "reason": end.relaxed.reason,
        "steps": end.relaxed.steps,
        "warnings": [warning.code for warning in end.warnings],
    }
    if reference is not None and reference["converged"] and end.relaxed.converged:
        found |= _against_minimum(molecule, end.relaxed.structure.positions, reference)
    return found


def _errors(point: Answered, reference: Record) -> Record:
    """Energy in meV/atom, forces in meV/Å per component."""
    forces = point.prediction.forces
    assert forces is not None
    return {
        "energy_error": 1e3 * (point.prediction.energy - reference["energy"]) / len(forces),
        "force_errors": (1e3 * (forces - np.array(reference["forces"]))).round(3).ravel().tolist(),
    }


def _against_minimum(molecule: Molecule, positions: Array, reference: Record) -> Record:
    """Distance in Å to GFN2-xTB's minimum, and energy in eV and largest force in eV/Å that it gives."""
    try:
        energy, forces = gfn2.single_point(molecule.numbers, positions, molecule.charge)
    except CalculationFailed as error:
        return {"reference_error": str(error)}
    return {
        "rmsd": rmsd(molecule, positions, np.array(reference["minimum"])),
        "energy_above": energy - reference["minimum_energy"],
        "force_left": float(np.linalg.norm(forces, axis=1).max()),
    }


def rmsd(molecule: Molecule, one: Array, other: Array) -> float:
    """Å, root mean square distance of the heavy atoms after the best superposition."""
    probe, target = (_heavy(molecule, positions) for positions in (one, other))
    return float(rdMolAlign.GetBestRMS(probe, target, maxMatches=MATCHES))


def _heavy(molecule: Molecule, positions: Array) -> Chem.Mol:
    chemical = Chem.Mol(molecule.chemical)
    chemical.GetConformer().SetPositions(np.array(positions))
    heavy = Chem.RemoveHs(chemical)
    return heavy if heavy.GetNumAtoms() > 1 else chemical


def answers(records: list[Record], as_stated: int) -> str:
    """How many were answered, and why the others were not."""
    refused = Counter(r["error"].partition(":")[0] for r in records if "error" in r)
    rows: list[tuple[object, ...]] = [
        ("molecules", len(records)),
        ("answered as the file states them", as_stated),
        ("answered with charges completed", len(records) - refused.total()),
        *((f"refused, {name}", count) for name, count in refused.most_common()),
        ("without a reference", sum(not r["reference"] for r in records)),
        (
            "GFN2-xTB changes bonds on its way",
            sum(r.get("reference_changed", False) for r in records),
        ),
    ]
    return table(("", "count"), rows)


def single_points(records: list[Record]) -> str:
    """Errors by group."""
    rows = []
    for name, members in _groups(records, "energy_error"):
        energies = deviations([r["energy_error"] for r in members])
        forces = deviations([e for r in members for e in r["force_errors"]])
        rows.append((name, len(members), *energies, *forces))
    quantities = ("energy MAE, meV/atom", "RMSE", "99 %", "force MAE, meV/Å", "RMSE", "99 %")
    return table(("single points", "molecules", *quantities), rows)


def relaxations(records: list[Record]) -> str:
    """How relaxations ended, by group."""
    rows = []
    for name, members in _groups(records, "converged"):
        converged = sum(r["converged"] for r in members)
        rmsds = [r["rmsd"] for r in members if "rmsd" in r]
        above = [r["energy_above"] for r in members if "rmsd" in r]
        changed = sum("bonds_changed" in r["warnings"] for r in members)
        rows.append(
            (
                name,
                len(members),
                f"{100 * converged / len(members):.1f} %",
                changed,
                float(np.median([r["steps"] for r in members])),
                *_spread(rmsds),
                _percent(sum(value < CLOSE for value in rmsds), len(rmsds)),
                *_spread([1e3 * value for value in above]),
            )
        )
    head = ("relaxations", "molecules", "converged", "bonds changed", "steps, median")
    distances = ("RMSD median, Å", "RMSD 90 %", f"under {CLOSE} Å")
    return table((*head, *distances, "energy above, median, meV", "90 %"), rows)


def _spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Median and 90th percentile."""
    if not values:
        return None, None
    return float(np.median(values)), float(np.quantile(values, 0.9))


def _percent(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"


def _groups(records: list[Record], known: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Records that have a value, by group, and all of them."""
    having = [r for r in records if known in r]
    names = sorted({r["group"] for r in having})
    groups = [(name, [r for r in having if r["group"] == name]) for name in names]
    return [*groups, ("all", having)] if having else []


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the references")
    parser.add_argument("--count", type=int, help="molecules, at most (default: all)")
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
