"""Phonons of silicon and magnesium oxide by finite displacements: frequencies at Γ, X and L, and
whether any is imaginary. LO–TO splitting is not in them. The supercell has an even number of cells along
each axis, so that its boundaries break no symmetry of X and L.

    python -m recipes.crystals.phonons --model sevennet-0 [--cells 4] [--only Si]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import LBFGS
from ase.phonons import Phonons

from app.store.location import DEFAULT_MODEL, default_store, located
from equipot import EquipotCalculator

CRYSTALS = {"Si": ("diamond", 5.43), "MgO": ("rocksalt", 4.21)}
POINTS = {"G": (0.0, 0.0, 0.0), "X": (0.5, 0.0, 0.5), "L": (0.5, 0.5, 0.5)}
THZ = 241.79893
"""Of an eV."""
DISPLACEMENT = 0.03
"""Å."""


def relaxed(name: str, calculator: EquipotCalculator) -> Atoms:
    """The crystal at its minimum, to 1e-4 eV/Å."""
    structure, constant = CRYSTALS[name]
    atoms = bulk(name, structure, a=constant)
    atoms.calc = calculator
    LBFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    return atoms


def frequencies(atoms: Atoms, calculator: EquipotCalculator, cells: int) -> dict[str, list[float]]:
    """THz at each point, negative where imaginary; of a supercell of cells × cells × cells."""
    with tempfile.TemporaryDirectory() as folder:
        phonons = Phonons(
            atoms, calculator, (cells,) * 3, name=str(Path(folder) / "p"), delta=DISPLACEMENT
        )
        phonons.run()
        phonons.read(acoustic=True)
        bands = phonons.band_structure(np.array(list(POINTS.values())), verbose=False)
    return {name: (THZ * row).tolist() for name, row in zip(POINTS, bands.real, strict=True)}


def main() -> None:
    """Print a row for each crystal and point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="`name` or `name@version`")
    parser.add_argument("--model-store", type=located, help="folder or URL of the models")
    parser.add_argument("--only", choices=CRYSTALS, help="one of the crystals")
    parser.add_argument("--cells", type=int, default=4, help="of the supercell along each axis (4)")
    options = parser.parse_args()
    if options.cells % 2:
        parser.error(f"--cells {options.cells}: an even number, so that X and L fit in")
    store = options.model_store or default_store()
    calculator = EquipotCalculator(options.model, store, threads=1)
    print("| crystal | a, Å | point | THz |\n|---|---|---|---|")
    for name in [options.only] if options.only else CRYSTALS:
        atoms = relaxed(name, calculator)
        constant = (4 * atoms.get_volume()) ** (1 / 3)
        for point, values in frequencies(atoms, calculator, options.cells).items():
            shown = ", ".join(f"{round(value, 2) + 0:.2f}" for value in values)
            print(f"| {name} | {constant:.4f} | {point} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
