"""The distances in frames of MPtrj, as a table for the cards of models trained on it.

    python -m recipes.crystals.ranges FRAMES.xyz > app/training/importers/mptrj.json

The frames are a random sample, so that a pair of elements gets a shortest distance of its own only
where enough frames have it; others are judged by the least ratio of distance to radii in any. By how
much an atom may be away from all others is the most of any element, for all: of single elements it
differs between halves of the sample.
"""

import argparse
import json
import sys
from collections.abc import Iterable

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.io import iread

from app.atoms.neighbors import build_graph
from app.atoms.structure import Floats
from app.atoms.surroundings import pair_name
from app.backends.findings import TOLERANCE
from app.formats.ase_atoms import from_ase

CUTOFF = 6.0
"""Å."""
FRAMES = 10
"""With a pair of elements within the cutoff, from which on its shortest distance is its own."""
ELEMENTS = len(chemical_symbols)


class Seen:
    """What frames hold.

    Attributes:
        closest: (Z, Z), Å, shortest distances.
        frames: (Z, Z) how many frames have the pair.
        farthest: (Z,), Å, largest distances from the nearest neighbour.
        most_atoms: of the largest frame.
        count: of frames.
    """

    def __init__(self) -> None:
        self.closest = np.full((ELEMENTS, ELEMENTS), np.inf)
        self.frames = np.zeros((ELEMENTS, ELEMENTS), int)
        self.farthest = np.zeros(ELEMENTS)
        self.most_atoms = self.count = 0

    def look_at(self, atoms: Atoms) -> None:
        """Note what is in a frame."""
        graph = build_graph(from_ase(atoms), CUTOFF)
        vectors = graph.edge_vectors()
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        i, j = graph.numbers[graph.edge_index]
        own = np.full((ELEMENTS, ELEMENTS), np.inf)
        np.minimum.at(own, (i, j), lengths)
        self.closest = np.minimum(self.closest, own)
        self.frames += np.isfinite(own)
        nearest = np.full(len(atoms), np.inf)
        np.minimum.at(nearest, graph.edge_index[0], lengths)
        has = np.isfinite(nearest)
        np.maximum.at(self.farthest, graph.numbers[has], nearest[has])
        self.most_atoms = max(self.most_atoms, len(atoms))
        self.count += 1

    def ratios(self) -> Floats:
        """(Z, Z), of the shortest distances to the sums of radii."""
        ratios: Floats = self.closest / (covalent_radii[:, None] + covalent_radii)
        return ratios

    def table(self) -> dict[str, object]:
        """The fields of a `TrainingRange`."""
        known = np.argwhere(np.isfinite(self.closest) & (self.frames >= FRAMES))
        return {
            "most_atoms": self.most_atoms,
            "closest": {
                pair_name(i, j): round(float(self.closest[i, j]), 3) for i, j in known if i >= j
            },
            "least_ratio": round(float(self.ratios().min()), 3),
            "farthest": {
                chemical_symbols[z]: round(float(self.farthest.max()), 3)
                for z in np.flatnonzero(self.farthest)
            },
            "periodic": True,
            "molecular": False,
            "charges": [0],
        }


def told(seen: Seen, other: Seen) -> tuple[float, float]:
    """Shares of the pairs of elements in one part that are closer than the other part would allow, and
    of the elements that are further from all others.
    """
    radii = covalent_radii[:, None] + covalent_radii
    enough = seen.frames >= FRAMES
    least = np.where(enough, seen.closest, seen.ratios().min() * radii)
    there = np.isfinite(other.closest)
    return (
        float((other.closest < least - TOLERANCE)[there].mean()),
        float((other.farthest > seen.farthest.max() + TOLERANCE)[other.farthest > 0].mean()),
    )


def look(frames: Iterable[Atoms]) -> Seen:
    """What some frames hold."""
    seen = Seen()
    for atoms in frames:
        seen.look_at(atoms)
    return seen


def main() -> None:
    """Write the table, and on standard error how often one half tells of the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", help="extXYZ")
    options = parser.parse_args()
    frames = list(iread(options.frames, format="extxyz"))
    halves = [look(frames[part::2]) for part in (0, 1)]
    for pair in (halves, halves[::-1]):
        close, far = told(*pair)
        print(
            f"told of the other half: {close:.1%} of pairs, {far:.1%} of elements", file=sys.stderr
        )
    source = {"data": "MPtrj (CC-BY-4.0)", "frames": len(frames), "cutoff": CUTOFF}
    json.dump({"source": source, "range": look(frames).table()}, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
