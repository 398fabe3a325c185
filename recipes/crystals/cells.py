"""How many steps relaxations of cells take, by what they vary: the deformation gradient, as
Equipot's do, or its logarithm (ASE's `FrechetCellFilter`).

    python -m recipes.crystals.cells --count 30
"""

import argparse

import numpy as np
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter, UnitCellFilter
from ase.optimize import FIRE, LBFGS

from recipes.crystals.perturbed import metals

FILTERS = {"gradient": UnitCellFilter, "logarithm": FrechetCellFilter}
OPTIMIZERS = {"lbfgs": LBFGS, "fire": FIRE}


def steps(optimizer: str, cell: str, count: int, strain: float, fmax: float) -> list[int]:
    """Of each relaxation; −1 where it did not converge within 1000."""
    found = []
    for atoms in metals(count, strain):
        atoms.calc = EMT()
        run = OPTIMIZERS[optimizer](FILTERS[cell](atoms), logfile=None)
        found.append(run.nsteps if run.run(fmax=fmax, steps=1000) else -1)
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="crystals (30)")
    parser.add_argument("--fmax", type=float, default=0.01, help="eV/Å (0.01)")
    options = parser.parse_args()
    print("| strain | optimizer | variables | mean steps | median | most | not converged |")
    print("|---|---|---|---|---|---|---|")
    for strain in (0.02, 0.05, 0.1):
        for optimizer in OPTIMIZERS:
            for cell in FILTERS:
                found = np.array(steps(optimizer, cell, options.count, strain, options.fmax))
                ended = found[found >= 0]
                row = (strain, optimizer, cell, f"{ended.mean():.1f}", f"{np.median(ended):.0f}")
                print("|", " | ".join(map(str, (*row, ended.max(), (found < 0).sum()))), "|")


if __name__ == "__main__":
    main()
