"""Time to build neighbour lists: ours (a whole `Graph`), bare vesin (pairs and shifts only), and
ASE's.

    python -m benchmarks.neighbors

Medians in ms and, in brackets, how many times as long as ours each takes. All take turns, so that a
busy machine slows all of them.
"""

import argparse
import statistics
from collections.abc import Sequence

import vesin
from ase.neighborlist import primitive_neighbor_list

from app.atoms.neighbors import build_graphs
from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from benchmarks.structures import systems
from benchmarks.timing import in_turns, measured, print_header, print_row, ratio

CUTOFF = 5.0


def ours(structures: Sequence[Structure]) -> None:
    build_graphs(structures, CUTOFF)


def bare_vesin(structures: Sequence[Structure]) -> None:
    for one in structures:
        finder = vesin.NeighborList(cutoff=CUTOFF, full_list=True, sorted=True, n_threads=1)
        finder.compute(one.positions, one.cell, bool(one.pbc.all()), "PS")


def by_ase(structures: Sequence[Structure]) -> None:
    for one in structures:
        primitive_neighbor_list("ijS", one.pbc, one.cell, one.positions, CUTOFF)


WAYS = {"ours": ours, "bare vesin": bare_vesin, "ASE": by_ase}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each median")
    options = parser.parse_args()
    print_header(["", "edges", *WAYS])
    for name, frames in systems((1, 64), (5, 11)).items():
        structures = [from_ase(atoms) for atoms in frames]
        edges = int(build_graphs(structures, CUTOFF).n_edges.sum())
        measures = {way: measured(lambda b=b, s=structures: b(s)) for way, b in WAYS.items()}
        times, _ = in_turns(measures, options.rounds, options.seconds)
        told = [
            f"{statistics.median(found):.3g} ({ratio(found, times['ours'])})"
            for found in times.values()
        ]
        print_row([name, edges, *told])


if __name__ == "__main__":
    main()
