"""Phases of silicon, in cells of about eight atoms, to distil a model from: diamond, β-tin, simple cubic,
face-centred and body-centred cubic.

    python -m recipes.crystals.silicon silicon.xyz
"""

import argparse

from ase import Atoms
from ase.build import bulk
from ase.io import write

BETA_TIN = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.0, 0.5, 0.25), (0.5, 0.0, 0.75))
"""Of the tetragonal cell."""


def phases() -> list[Atoms]:
    """Near their minima without pressure by PBE."""
    tetragonal = Atoms("Si4", scaled_positions=BETA_TIN, cell=(4.8, 4.8, 2.65), pbc=True)
    return [
        bulk("Si", "diamond", a=5.47, cubic=True),
        tetragonal.repeat((1, 1, 2)),
        bulk("Si", "sc", a=2.53).repeat(2),
        bulk("Si", "fcc", a=3.88).repeat(2),
        bulk("Si", "bcc", a=3.09, cubic=True).repeat((2, 2, 1)),
    ]


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="extXYZ")
    write(parser.parse_args().output, phases(), format="extxyz")


if __name__ == "__main__":
    main()
