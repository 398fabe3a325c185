"""In which order a model puts the energies of conformers, beside GFN2-xTB.

    python -m recipes.measures.conformers --molecules MiniDrugBank.sdf --cache FOLDER --model NAME

Ten conformers of each of a hundred molecules, from ETKDG and MMFF94. Three rankings:

- relaxed: the model's energies of its own minima beside those that GFN2-xTB gives the same geometries.
  This is what somebody has who relaxes conformers and keeps the lowest, and the one to quote: both
  speak of the same geometries, so that it does not depend on which basin a relaxation fell into.
- minima: the model's energies of its own minima beside those of the minima that GFN2-xTB finds from
  the same starts. Stricter: a relaxation that ends in another basin counts against the model.
- starts: both for the geometries of MMFF94, as they stand.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rdkit import Chem
from scipy.stats import spearmanr

from app.protocol.response import Answered
from app.relax import RelaxOptions
from recipes.measures import gfn2
from recipes.measures.cache import Cache, Record, key_of
from recipes.measures.embedding import conformers
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.molecules import Array, Molecule, group_of, read_molecules, structure_of
from recipes.measures.results import publish, table
from recipes.measures.torsions import rotatable

KCAL = 0.0433641  # eV
MOLECULES, CONFORMERS = 100, 10
EMBEDDED, APART = 30, 0.5
FMAX = 0.02  # eV/Å; of energies, less is within 1 meV
LARGEST = 60  # atoms
ROTATABLE = range(3, 11)  # bonds
RANKINGS = ("relaxed", "minima", "starts")


def main() -> None:
    """Measure and print."""
    options = _options()
    cache = Cache(options.cache, "conformers")
    ranked = sorted(read_molecules(options.molecules), key=lambda molecule: molecule.rank)
    known = [(m, r) for m in choose(ranked) if (r := cache.get(key(m))) and all(r["converged"])]
    with opened(options) as model:
        records = [
            compared(model, molecule, reference) for molecule, reference in known[: options.count]
        ]
        publish(options, model, [summary(records)], {"molecules": records})


def compared(model: Model, molecule: Molecule, reference: Record) -> Record:
    """Spearman's coefficient and mean error of relative energies in meV, of each ranking."""
    found: Record = {"name": molecule.name, "group": group_of(molecule)}
    structures = [
        structure_of(molecule.numbers, np.array(start), molecule.charge)
        for start in reference["starts"]
    ]
    ends = [r.relaxed for r in model.ask(structures, RelaxOptions()) if isinstance(r, Answered)]
    relaxed = [end for end in ends if end is not None and end.converged]
    if len(relaxed) < len(structures):
        return found | {"failed": f"{len(relaxed)} of {len(structures)} relaxations converged"}
    own = np.array([end.prediction.energy for end in relaxed])
    judged = np.array(
        [
            gfn2.single_point(molecule.numbers, end.structure.positions, molecule.charge)[0]
            for end in relaxed
        ]
    )
    starts = np.array([end.initial.energy for end in relaxed])
    return found | {
        "relaxed": ranking(own, judged),
        "minima": ranking(own, np.array(reference["energies"])),
        "starts": ranking(starts, np.array(reference["start_energies"])),
    }


def ranking(model: Array, reference: Array) -> dict[str, float | bool]:
    """How alike two sets of energies, in eV, of the same conformers are.

    Returns:
        Spearman's coefficient, the mean absolute error of relative energies in meV, and whether the
        model's lowest is within 1 kcal/mol of the reference's.
    """
    difference = model - reference
    chosen = reference[model.argmin()] - reference.min()
    return {
        "spearman": float(spearmanr(model, reference).statistic),
        "mae": 1e3 * float(np.abs(difference - difference.mean()).mean()),
        "lowest_found": bool(chosen < KCAL),
    }


def summary(records: Sequence[Record]) -> str:
    """Quantiles over the molecules."""
    ranked = [record for record in records if "failed" not in record]
    rows: list[tuple[object, ...]] = []
    for name in RANKINGS if ranked else ():
        of = [record[name] for record in ranked]
        coefficients = np.array([each["spearman"] for each in of])
        rows.append(
            (
                name,
                len(of),
                *(float(np.quantile(coefficients, share)) for share in (0.5, 0.1)),
                float(np.median([each["mae"] for each in of])),
                f"{100 * np.mean([each['lowest_found'] for each in of]):.0f} %",
            )
        )
    rows.append(("not answered or not converged", len(records) - len(ranked), *[None] * 4))
    head = ("conformers", "molecules", "Spearman, median", "10 %", "MAE, median, meV")
    return table((*head, "lowest within 1 kcal/mol"), rows)


def choose(molecules: list[Molecule]) -> Iterator[Molecule]:
    """Molecules that may have enough conformers, in their order."""
    for molecule in molecules:
        small = len(molecule.numbers) <= LARGEST and abs(molecule.charge) <= 2
        if small and len(rotatable(molecule.chemical)) in ROTATABLE:
            yield molecule


def key(molecule: Molecule) -> str:
    """The record's name in the cache."""
    return key_of(molecule.name, molecule.numbers, molecule.positions, molecule.charge)


def reference(molecule: Molecule) -> Record:
    """Start geometries, energies of GFN2-xTB there, and at its minima from there."""
    starts = [p.round(6) for p in conformers(Chem.Mol(molecule.chemical), EMBEDDED, APART)]
    if len(starts) < CONFORMERS:
        return {"failed": f"{len(starts)} conformers of {CONFORMERS}"}
    ends = [
        gfn2.minimum(molecule.numbers, start, molecule.charge, FMAX)
        for start in starts[:CONFORMERS]
    ]
    return {
        "numbers": molecule.numbers,
        "charge": molecule.charge,
        "starts": [start.tolist() for start in starts[:CONFORMERS]],
        "start_energies": [end.start_energy for end in ends],
        "minima": [end.positions.round(6).tolist() for end in ends],
        "energies": [end.energy for end in ends],
        "converged": [end.converged for end in ends],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the references")
    parser.add_argument(
        "--count", type=int, default=MOLECULES, help="molecules, at most (%(default)s)"
    )
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
