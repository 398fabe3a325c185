"""Interaction energies of complexes, beside GFN2-xTB and coupled clusters.

    python -m recipes.measures.complexes --databases /usr/share/psi4/databases --model NAME

E(dimer) − E(monomers) in the geometries of the databases.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from app.atoms.structure import Structure
from app.protocol.response import Answered
from recipes.measures import gfn2
from recipes.measures.cache import Record
from recipes.measures.databases import Complex, read_complexes
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.results import deviations, publish, table

KCAL = 0.0433641  # eV
DATABASES = ("S66", "A24")
S66_KINDS = (("hydrogen bonds", 0, 23), ("dispersion", 23, 46), ("mixed", 46, 66))


def main() -> None:
    """Measure and print."""
    options = _options()
    with opened(options) as model:
        records = {
            name: compared(model, read_complexes(options.databases / f"{name}.py"))
            for name in DATABASES
        }
        publish(options, model, [summary(records)], records)


def compared(model: Model, complexes: Sequence[Complex]) -> list[Record]:
    """Interaction energies in kcal/mol: reference, GFN2-xTB, model."""
    structures = [s for complex_ in complexes for s in (complex_.dimer, *complex_.monomers)]
    results = model.ask(structures)
    records = []
    for index, complex_ in enumerate(complexes):
        three = results[3 * index : 3 * index + 3]
        errors = [result for result in three if not isinstance(result, Answered)]
        record: Record = {
            "name": complex_.name,
            "reference": complex_.energy,
            "gfn2": _interaction([_gfn2(s) for s in (complex_.dimer, *complex_.monomers)]),
        }
        if errors:
            record["failed"] = f"{type(errors[0]).__name__}: {errors[0]}"
        else:
            record["model"] = _interaction(
                [r.prediction.energy for r in three if isinstance(r, Answered)]
            )
        records.append(record)
    return records


def _gfn2(structure: Structure) -> float:
    return gfn2.single_point(structure.numbers.tolist(), structure.positions, structure.charge)[0]


def _interaction(energies: Sequence[float]) -> float:
    dimer, one, other = energies
    return (dimer - one - other) / KCAL


def summary(records: dict[str, list[Record]]) -> str:
    """Errors in kcal/mol, of each database and of the kinds of S66."""
    groups = list(records.items())
    groups += [(f"S66, {name}", records["S66"][a:b]) for name, a, b in S66_KINDS]
    rows = []
    for name, members in groups:
        known = [r for r in members if "model" in r]
        rows.append(
            (
                name,
                f"{len(known)} of {len(members)}",
                deviations([r["model"] - r["gfn2"] for r in known])[0],
                deviations([r["model"] - r["reference"] for r in known])[0],
                deviations([r["gfn2"] - r["reference"] for r in known])[0],
            )
        )
    head = ("interaction, MAE, kcal/mol", "answered", "model − GFN2-xTB")
    return table((*head, "model − reference", "GFN2-xTB − reference"), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--databases", type=Path, required=True, help="folder of Psi4's databases")
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
