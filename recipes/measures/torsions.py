"""Torsion profiles: a bond turned in steps, all else rigid, energies of each step.

    python -m recipes.measures.torsions --molecules MiniDrugBank.sdf --cache FOLDER --model NAME

Fifty bonds, turned from the minimum of GFN2-xTB by 15° at a time. Compared are the geometries whose
energy GFN2-xTB puts within 1 eV of the lowest one: beyond, parts of the molecule collide, and its
charges may not converge at all.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.calculators.calculator import CalculationFailed
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from app.protocol.response import Answered
from recipes.measures import gfn2
from recipes.measures.cache import Cache, Record
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.molecules import Molecule, group_of, read_molecules, structure_of
from recipes.measures.results import publish, table

Array = NDArray[np.float64]

BONDS = 50
STEP = 15  # degrees
LARGEST = 60  # atoms
HIGHEST = 1.0  # eV, above the lowest geometry, of those that are compared
END = "[!#1;!$(*#*);$(*(~[!#1])~[!#1])]"
ROTATABLE = Chem.MolFromSmarts(f"{END}-&!@{END}")


def main() -> None:
    """Measure and print."""
    options = _options()
    cache = Cache(options.cache, "torsions")
    ranked = sorted(read_molecules(options.molecules), key=lambda molecule: molecule.rank)
    known = [(t, r) for t in choose(ranked) if (r := cache.get(t.key)) is not None]
    with opened(options) as model:
        records = [compared(model, t, r) for t, r in known[: options.count]]
        publish(options, model, [summary(records)], {"torsions": records})


@dataclass(frozen=True)
class Torsion:
    """A bond of a molecule that is turned.

    Attributes:
        molecule: that has it.
        atoms: four in a row; the bond is between the second and the third.
    """

    molecule: Molecule
    atoms: tuple[int, int, int, int]

    @property
    def key(self) -> str:
        """The record's name in the cache."""
        return f"{self.molecule.name} {'-'.join(map(str, self.atoms))}"

    def geometries(self, start: Array) -> list[Array]:
        """(N, 3) in Å, of a whole turn in steps; the first one is `start`, (N, 3)."""
        chemical = Chem.Mol(self.molecule.chemical)
        conformer = chemical.GetConformer()
        conformer.SetPositions(np.array(start))
        first = rdMolTransforms.GetDihedralDeg(conformer, *self.atoms)
        turned = []
        for angle in range(0, 360, STEP):
            rdMolTransforms.SetDihedralDeg(conformer, *self.atoms, first + angle)
            turned.append(np.array(conformer.GetPositions()))
        return turned


def choose(molecules: list[Molecule]) -> Iterator[Torsion]:
    """One rotatable bond between heavy atoms of each molecule that has any, up to `BONDS`."""
    chosen = 0
    for molecule in molecules:
        bonds = [] if len(molecule.numbers) > LARGEST else rotatable(molecule.chemical)
        if bonds and chosen < BONDS:
            chosen += 1
            second, third = bonds[int(molecule.rank, 16) % len(bonds)]
            ends = (
                _neighbor(molecule.chemical, *pair) for pair in ((second, third), (third, second))
            )
            first, fourth = ends
            yield Torsion(molecule, (first, second, third, fourth))


def rotatable(chemical: Chem.Mol) -> list[tuple[int, int]]:
    """Single bonds in no ring whose ends have other heavy atoms, and no triple bond."""
    return [tuple(pair) for pair in chemical.GetSubstructMatches(ROTATABLE)]


def _neighbor(chemical: Chem.Mol, atom: int, other: int) -> int:
    """The first heavy neighbour of an atom that is not the other one."""
    for neighbor in chemical.GetAtomWithIdx(atom).GetNeighbors():
        if neighbor.GetAtomicNum() > 1 and neighbor.GetIdx() != other:
            return int(neighbor.GetIdx())
    raise AssertionError("the pattern asks for another heavy neighbour")


def reference(torsion: Torsion, minimum: Record) -> Record:
    """Energies in eV of GFN2-xTB, turning its own minimum; None where its charges do not converge."""
    start = np.array(minimum["minimum"])
    energies = [_energy(torsion.molecule, positions) for positions in torsion.geometries(start)]
    return {"start": start.tolist(), "energies": energies}


def _energy(molecule: Molecule, positions: Array) -> float | None:
    try:
        return gfn2.single_point(molecule.numbers, positions, molecule.charge)[0]
    except CalculationFailed:
        return None


def compared(model: Model, torsion: Torsion, reference: Record) -> Record:
    """Both profiles of a bond, in eV, where the reference is low, and how they differ."""
    found: Record = {"name": torsion.key, "group": group_of(torsion.molecule)}
    molecule = torsion.molecule
    low = low_ones(reference["energies"])
    geometries = torsion.geometries(np.array(reference["start"]))
    results = model.ask(
        [
            structure_of(molecule.numbers, positions, molecule.charge)
            for positions, chosen in zip(geometries, low, strict=True)
            if chosen is not None
        ]
    )
    errors = [result for result in results if not isinstance(result, Answered)]
    if errors:
        return found | {"failed": f"{len(errors)} of {len(results)} geometries: {errors[0]}"}
    energies = [result.prediction.energy for result in results if isinstance(result, Answered)]
    own, expected = np.array(energies), np.array([energy for energy in low if energy is not None])
    return (
        found | {"profile": own.tolist(), "reference": expected.tolist()} | deviation(own, expected)
    )


def low_ones(energies: Sequence[float | None]) -> list[float | None]:
    """Energies in eV that are near the lowest one, and None in the place of the others."""
    lowest = min(energy for energy in energies if energy is not None)
    return [e if e is not None and e - lowest < HIGHEST else None for e in energies]


def deviation(own: Array, expected: Array) -> Record:
    """How two profiles in eV differ.

    Returns:
        Root mean square deviation, in meV, of the profiles after the best shift, and the error of
        their height.
    """
    difference = own - expected
    return {
        "points": len(own),
        "rmse": 1e3 * float(difference.std()),
        "height": 1e3 * float(np.ptp(expected)),
        "height_error": 1e3 * float(np.ptp(own) - np.ptp(expected)),
    }


def summary(records: Sequence[Record]) -> str:
    """Quantiles over the bonds."""
    known = [record for record in records if "failed" not in record]
    rows: list[tuple[object, ...]] = []
    for name, key in (("RMSE", "rmse"), ("error of the height", "height_error")):
        values = np.abs([record[key] for record in known])
        if known:
            quantiles = [float(np.quantile(values, share)) for share in (0.5, 0.9, 1.0)]
            rows.append((f"{name}, meV", len(known), *quantiles))
    rows.append(("not answered", len(records) - len(known), *[None] * 3))
    return table(("torsion profiles", "bonds", "median", "90 %", "largest"), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the references")
    parser.add_argument("--count", type=int, default=BONDS, help="bonds, at most (%(default)s)")
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
