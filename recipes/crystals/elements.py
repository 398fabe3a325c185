"""Lattice constants and bulk moduli of the elements (ASE's `dcdft` collection, PBE), all relaxed in
one batch.

    python -m recipes.crystals.elements --model sevennet-0 [--only Si,Cu] [--output FOLDER]

The bulk modulus is that of Birch and Murnaghan's equation through the energies of nine volumes within
6 % of the relaxed one, whose shape is kept.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.collections import dcdft

from app.atoms.structure import Floats, Structure
from app.errors import EquipotError
from app.formats.ase_atoms import from_ase
from app.protocol.response import Answered, Result
from app.relax import RelaxOptions
from app.relax.options import GPA
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.results import publish, table

VOLUMES = np.linspace(0.94, 1.06, 9)


def crystals(only: Sequence[str]) -> dict[str, Atoms]:
    """By chemical symbol, without the magnetic moments that ASE gives them: no model takes any."""
    chosen = {name: dcdft[name] for name in dcdft.names if not only or name in only}
    for atoms in chosen.values():
        atoms.set_initial_magnetic_moments(None)
    return chosen


def scaled(structure: Structure, volume: float) -> Structure:
    """The crystal with so many times its volume."""
    factor = volume ** (1 / 3)
    positions, cell = structure.positions * factor, structure.cell * factor
    return Structure(structure.numbers, positions, cell, structure.pbc)


def bulk_modulus(volumes: Floats, energies: Floats) -> float | None:
    """GPa, of (n,) energies in eV at volumes in Å³, by the equation of Birch and Murnaghan: energies
    are a cubic in x = V^(−2/3), and the modulus is V ∂²E/∂V² = 4/9 E″(x) V^(−7/3) at the minimum.
    None where these volumes have no minimum among them.
    """
    x = volumes ** (-2 / 3)
    curve = np.polynomial.Polynomial.fit(x, energies, 3)
    for root in curve.deriv().roots():
        if np.isreal(root) and x.min() < root.real < x.max() and curve.deriv(2)(root.real) > 0:
            return float(4 / 9 * curve.deriv(2)(root.real) * root.real**3.5) / GPA
    return None


def measured(model: Model, only: Sequence[str], fmax: float) -> list[dict[str, object]]:
    """A row for each element: what was relaxed, and how it compares."""
    given = crystals(only)
    relax = RelaxOptions(fmax=fmax, cell="full")
    answers = model.ask([from_ase(atoms) for atoms in given.values()], relax)
    return [_row(model, name, answer) for name, answer in zip(given, answers, strict=True)]


def _row(model: Model, name: str, answer: Result) -> dict[str, object]:
    if isinstance(answer, EquipotError):
        return {"element": name, "error": str(answer)}
    assert isinstance(answer, Answered)
    assert answer.relaxed is not None
    relaxed = answer.relaxed.structure
    volume = abs(float(np.linalg.det(relaxed.cell)))
    points = model.ask([scaled(relaxed, v) for v in VOLUMES])
    for point in points:
        if isinstance(point, EquipotError):
            return {"element": name, "error": str(point)}
    energies = np.array([p.prediction.energy for p in points if isinstance(p, Answered)])
    reference = dcdft.data[name]
    return {
        "element": name,
        "converged": answer.relaxed.converged,
        "steps": answer.relaxed.steps,
        "volume": volume / len(relaxed),
        "volume_pbe": reference["wien2k_volume"],
        "bulk_modulus": bulk_modulus(volume * VOLUMES, energies),
        "bulk_modulus_pbe": reference["wien2k_B"],
    }


def deviations(rows: Sequence[dict[str, object]]) -> list[tuple[object, ...]]:
    """Of all elements that were answered: the quantity, in how many, and the mean and the median of
    the absolute deviation from PBE, in %.
    """
    found: list[tuple[object, ...]] = []
    for quantity in ("volume", "bulk_modulus"):
        pairs = [(row[quantity], row[f"{quantity}_pbe"]) for row in rows if row.get(quantity)]
        ours, pbe = np.array(pairs, float).reshape(-1, 2).T
        percent = 100 * np.abs(ours / pbe - 1)
        if len(pairs):
            found.append((quantity, len(pairs), float(percent.mean()), float(np.median(percent))))
    return found


def main() -> None:
    """Print the tables, and what was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="elements, separated by commas")
    parser.add_argument("--fmax", type=float, default=0.005, help="eV/Å (0.005)")
    add_model_options(parser)
    options = parser.parse_args()
    with opened(options) as model:
        rows = measured(model, options.only.split(",") if options.only else [], options.fmax)
        columns = ("element", "volume", "volume_pbe", "bulk_modulus", "bulk_modulus_pbe", "steps")
        head = ("element", "Å³ an atom", "PBE", "GPa", "PBE", "steps")
        answered = [row for row in rows if "error" not in row]
        text = table(head, [[row[column] for column in columns] for row in answered])
        found = deviations(rows)
        off = table(("off PBE", "elements", "mean, %", "median, %"), found)
        publish(options, model, [text, off], {"rows": rows, "deviations": found})
        for row in rows:
            if "error" in row:
                print(f"{row['element']}: {row['error']}")
            elif not row["converged"]:
                print(f"{row['element']}: not converged")


if __name__ == "__main__":
    main()
