"""Lattice constants and bulk moduli of the elements (ASE's `dcdft` collection, PBE), all relaxed in
one batch.

    python -m recipes.crystals.elements --model sevennet-0 [--only Si,Cu] [--output FOLDER]

The bulk modulus is the curvature of a quadratic through the energies of nine volumes within 6 % of
the relaxed one, whose shape is kept.
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
    """By chemical symbol."""
    return {name: dcdft[name] for name in dcdft.names if not only or name in only}


def scaled(structure: Structure, volume: float) -> Structure:
    """The crystal with so many times its volume."""
    factor = volume ** (1 / 3)
    positions, cell = structure.positions * factor, structure.cell * factor
    return Structure(structure.numbers, positions, cell, structure.pbc)


def bulk_modulus(volumes: Floats, energies: Floats) -> float:
    """GPa, V ∂²E/∂V² at the minimum of a cubic through (n,) energies in eV at volumes in Å³."""
    middle = volumes.mean()
    polynomial = np.polynomial.Polynomial.fit(volumes, energies, 3).convert()
    slopes = [root.real for root in polynomial.deriv().roots() if abs(root.imag) < 1e-9]
    minimum = min(slopes, key=lambda volume: abs(volume - middle), default=middle)
    return float(minimum * polynomial.deriv(2)(minimum)) / GPA


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


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="elements, separated by commas")
    parser.add_argument("--fmax", type=float, default=0.005, help="eV/Å (0.005)")
    add_model_options(parser)
    options = parser.parse_args()
    with opened(options) as model:
        rows = measured(model, options.only.split(",") if options.only else [], options.fmax)
        columns = ("element", "volume", "volume_pbe", "bulk_modulus", "bulk_modulus_pbe", "steps")
        head = ("element", "Å³ an atom", "PBE", "GPa", "PBE", "steps")
        text = table(head, [[row.get(column) for column in columns] for row in rows])
        publish(options, model, [text], {"rows": rows})


if __name__ == "__main__":
    main()
