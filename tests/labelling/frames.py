"""Frames of argon, each different."""

from ase import Atoms


def argon(index: int, do: str = "nothing") -> Atoms:
    positions = [[0, 0, 0], [0, 0, 1.1 + 0.01 * index], [0, 1.2, 0.3]]
    return Atoms("Ar3", positions, info={"name": f"frame {index}", "do": do})
