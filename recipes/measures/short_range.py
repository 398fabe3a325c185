"""Relaxations that begin too close or too far: every pair of elements, and bonds pressed or stretched.

    python -m recipes.measures.short_range --model NAME

Each pair of the model's elements begins at 0.4 to 3 Å, with the charges that close its shells. It is
right when it ends within 0.1 Å of where GFN2-xTB ends from the same start, or when both let it fall
apart. Small molecules begin at the minimum of GFN2-xTB with one bond pressed or stretched; they are
right when no bond has changed and GFN2-xTB finds the end within 0.1 eV of its minimum.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.data import atomic_numbers, chemical_symbols
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from app.atoms.structure import Structure
from app.protocol.response import Answered, Result
from app.relax import RelaxOptions
from app.relax.bonds import changed_bonds
from recipes.measures import gfn2
from recipes.measures.cache import Record
from recipes.measures.embedding import embedded
from recipes.measures.model import add_model_options, opened
from recipes.measures.molecules import Array, structure_of
from recipes.measures.results import publish, table

DISTANCES = (0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)  # Å
NEAR = 0.1  # Å
APART = 3.5  # Å
FACTORS = (0.6, 0.75, 1.25, 1.5)
ABOVE = 0.1  # eV
MOLECULES = (
    "O N C CC C=C C#C CO COC C=O CC#N C#N NN OO CN NC=O CC(=O)O c1ccccc1 O=C=O "
    "CF CCl CBr CI CS S CSC P CP CS(C)=O CS(=O)(=O)C COP(=O)(O)O C[N+](=O)[O-] CNC(C)=O "
    "[NH4+] CC(=O)[O-] C[NH3+] [O-]c1ccccc1"
)


@dataclass(frozen=True)
class Pressed:
    """A molecule with one bond that is too short or too long.

    Attributes:
        name: SMILES and bond.
        factor: of the bond's length.
        minimum: of GFN2-xTB.
        energy: eV, of that minimum.
        positions: (N, 3), Å, to begin from.
    """

    name: str
    factor: float
    minimum: Structure
    energy: float
    positions: Array

    @property
    def start(self) -> Structure:
        """Where the relaxation begins."""
        return replace(self.minimum, positions=self.positions)


def main() -> None:
    """Measure and print."""
    options = _options()
    with opened(options) as model:
        starts = list(pairs(model.potential.card.elements))
        references = [pair_end(start) for start in starts]
        pressed = [each for smiles in MOLECULES.split() for each in distorted(smiles)]
        values: dict[str, list[Record]] = {}
        tables = []
        for name in options.optimizers:
            relax = RelaxOptions(optimizer=name)
            of_pairs = [
                pair_record(start, end, reference)
                for start, end, reference in zip(
                    starts, model.ask(starts, relax), references, strict=True
                )
            ]
            ends = model.ask([each.start for each in pressed], relax)
            of_bonds = [bond_record(*both) for both in zip(pressed, ends, strict=True)]
            values |= {f"{name}, pairs": of_pairs, f"{name}, bonds": of_bonds}
            tables += [pair_table(name, of_pairs), bond_table(name, of_bonds)]
        publish(options, model, tables, values)


def pairs(elements: Sequence[str]) -> Iterator[Structure]:
    """Each pair of elements at each distance, with the charges nearest to none that close its shells."""
    for one, other in combinations_with_replacement([atomic_numbers[e] for e in elements], 2):
        for charge in (1, -1) if (one + other) % 2 else (0,):
            if one + other - charge > 0:
                for distance in DISTANCES:
                    yield _pair(one, other, distance, charge)


def _pair(one: int, other: int, distance: float, charge: int) -> Structure:
    return structure_of([one, other], np.array([[0.0, 0, 0], [distance, 0, 0]]), charge)


def pair_end(start: Structure) -> float | None:
    """Å, the distance at which GFN2-xTB ends; None where it cannot be evaluated."""
    try:
        end = gfn2.minimum(start.numbers.tolist(), start.positions, start.charge, 0.05)
    except CalculationFailed:
        return None
    return _distance(end.positions) if end.converged else None


def _distance(positions: Array) -> float:
    return float(np.linalg.norm(positions[1] - positions[0]))


def pair_record(start: Structure, result: Result, reference: float | None) -> Record:
    """Where a pair began and ended."""
    one, other = (chemical_symbols[z] for z in start.numbers)
    found: Record = {
        "pair": f"{one}-{other}",
        "charge": start.charge,
        "start": round(_distance(start.positions), 3),
        "reference": reference,
    }
    if not isinstance(result, Answered) or result.relaxed is None:
        return found | {"error": f"{type(result).__name__}: {result}"}
    end = _distance(result.relaxed.structure.positions)
    return found | {
        "end": end,
        "converged": result.relaxed.converged,
        "right": None if reference is None else agrees(end, reference),
    }


def agrees(end: float, reference: float) -> bool:
    """Whether two distances in Å are alike, or both pairs have fallen apart."""
    return abs(end - reference) < NEAR or min(end, reference) > APART


def distorted(smiles: str) -> Iterator[Pressed]:
    """A molecule with each kind of its bonds that is in no ring, pressed and stretched."""
    chemical = embedded(smiles)
    numbers = [atom.GetAtomicNum() for atom in chemical.GetAtoms()]
    charge = Chem.GetFormalCharge(chemical)
    end = gfn2.minimum(numbers, chemical.GetConformer().GetPositions(), charge)
    minimum = structure_of(numbers, end.positions, charge)
    ranks = list(Chem.CanonicalRankAtoms(chemical, breakTies=False))
    seen = set()
    for bond in chemical.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        kind = tuple(sorted((ranks[i], ranks[j])))
        if bond.IsInRing() or kind in seen:
            continue
        seen.add(kind)
        for factor in FACTORS:
            positions = with_bond(chemical, end.positions, i, j, factor)
            yield Pressed(f"{smiles} {i}-{j}", factor, minimum, end.energy, positions)


def with_bond(chemical: Chem.Mol, positions: Array, i: int, j: int, factor: float) -> Array:
    """(N, 3), Å: a bond so many times as long, all that hangs on it moved along."""
    moved = Chem.Mol(chemical)
    conformer = moved.GetConformer()
    conformer.SetPositions(np.array(positions))
    rdMolTransforms.SetBondLength(
        conformer, i, j, factor * rdMolTransforms.GetBondLength(conformer, i, j)
    )
    return np.array(conformer.GetPositions())


def bond_record(pressed: Pressed, result: Result) -> Record:
    """Where a molecule with a distorted bond ended."""
    found: Record = {"name": pressed.name, "factor": pressed.factor}
    if not isinstance(result, Answered) or result.relaxed is None:
        return found | {"error": f"{type(result).__name__}: {result}"}
    end = result.relaxed.structure
    changed = changed_bonds(pressed.minimum, end)
    found |= {"converged": result.relaxed.converged, "changed": bool(changed), "right": False}
    try:
        energy, _ = gfn2.single_point(end.numbers.tolist(), end.positions, end.charge)
    except CalculationFailed as error:
        return found | {"reference_error": str(error)}
    above = energy - pressed.energy
    return found | {"above": above, "right": not changed and above < ABOVE}


def pair_table(optimizer: str, records: Sequence[Record]) -> str:
    """By start."""
    rows = []
    for start in DISTANCES:
        of = [r for r in records if r["start"] == start and "end" in r]
        known = [r for r in of if r["right"] is not None]
        rows.append(
            (
                f"{start} Å",
                len([r for r in records if r["start"] == start]),
                len(of),
                _percent([r["converged"] for r in of]),
                _percent([r["right"] for r in known]),
                ", ".join(
                    sorted({f"{r['pair']} {r['charge']:+d}" for r in known if not r["right"]})[:8]
                ),
            )
        )
    head = (f"pairs, {optimizer}", "starts", "answered", "converged", "right", "wrong, some")
    return table(head, rows)


def bond_table(optimizer: str, records: Sequence[Record]) -> str:
    """By factor."""
    rows = []
    for factor in FACTORS:
        of = [r for r in records if r["factor"] == factor and "error" not in r]
        above = [r["above"] for r in of if "above" in r]
        rows.append(
            (
                f"bond × {factor}",
                len([r for r in records if r["factor"] == factor]),
                len(of),
                _percent([r["converged"] for r in of]),
                _percent([r["right"] for r in of]),
                float(np.median(above)) if above else None,
                ", ".join([r["name"] for r in of if not r["right"]][:8]),
            )
        )
    head = (f"bonds, {optimizer}", "starts", "answered", "converged", "right")
    return table((*head, "energy above, median, eV", "wrong, some"), rows)


def _percent(values: Sequence[bool]) -> str:
    return f"{100 * sum(values) / len(values):.1f} %" if values else "–"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--optimizers", nargs="+", choices=("lbfgs", "fire"), default=["lbfgs", "fire"]
    )
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
