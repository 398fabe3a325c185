"""Time to build neighbour lists: ours (a whole `Graph`), bare vesin (pairs and shifts only), and
ASE's.

    python benchmarks/neighbors.py

Rounds are interleaved, so that a busy machine slows all of them; the table gives medians and, in
brackets, how many times as long as ours each takes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import vesin
from ase.neighborlist import primitive_neighbor_list

from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.structure import Structure

CUTOFF = 5.0
MOLECULE = (21, 0.1)
CRYSTAL = 0.06
"""Atoms, and atoms in an Å³, about as in aspirin and in a metal oxide."""


def cluster(n_atoms: int, density: float, seed: int) -> Structure:
    """A ball of atoms on a jittered grid."""
    rng = np.random.default_rng(seed)
    step, edge = density ** (-1 / 3), int(np.ceil(n_atoms ** (1 / 3))) + 2
    grid = np.stack(np.meshgrid(*[np.arange(edge) - edge / 2] * 3), axis=-1).reshape(-1, 3)
    nearest = grid[np.argsort(np.linalg.norm(grid, axis=1), kind="stable")[:n_atoms]]
    return Structure(
        rng.choice([1, 6, 8], n_atoms), step * (nearest + rng.uniform(-0.2, 0.2, nearest.shape))
    )


def crystal(edge: int, density: float, seed: int) -> Structure:
    """A periodic box of atoms on a jittered grid."""
    rng = np.random.default_rng(seed)
    step = density ** (-1 / 3)
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3), axis=-1).reshape(-1, 3)
    positions = step * (grid + rng.uniform(-0.2, 0.2, grid.shape))
    return Structure(rng.choice([8, 14], len(grid)), positions, np.eye(3) * edge * step, np.True_)


def ours(structures: Sequence[Structure]) -> object:
    return (
        build_graph(structures[0], CUTOFF)
        if len(structures) == 1
        else build_graphs(structures, CUTOFF)
    )


def bare_vesin(structures: Sequence[Structure]) -> object:
    def search(structure: Structure) -> object:
        finder = vesin.NeighborList(cutoff=CUTOFF, full_list=True, sorted=True, n_threads=1)
        return finder.compute(structure.positions, structure.cell, bool(structure.pbc.all()), "PS")

    return [search(structure) for structure in structures]


def by_ase(structures: Sequence[Structure]) -> object:
    return [primitive_neighbor_list("ijS", s.pbc, s.cell, s.positions, CUTOFF) for s in structures]


def medians(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of each call, from interleaved rounds."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, measured in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            measured.append(time.perf_counter() - start)
    return [statistics.median(measured[1:]) for measured in times]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to build neighbour lists.")
    parser.add_argument(
        "--rounds", type=int, default=30, help="of the small cases; the large ones take a fifth"
    )
    rounds = parser.parse_args().rounds
    cases = {
        "1 molecule of 21 atoms": ([cluster(*MOLECULE, seed=0)], 10 * rounds),
        "64 molecules of 21 atoms": ([cluster(*MOLECULE, seed=n) for n in range(64)], rounds),
        "1 crystal of 1,000 atoms": ([crystal(10, CRYSTAL, seed=0)], rounds),
        "1 crystal of 10,648 atoms": ([crystal(22, CRYSTAL, seed=0)], max(1, rounds // 5)),
    }
    print(f"cutoff {CUTOFF:g} Å, medians in ms, in brackets over ours\n")
    print(f"| {'':26s} | {'edges':>8s} | {'ours':>9s} | {'bare vesin':>18s} | {'ASE':>18s} |")
    print(f"|{'-' * 28}|{'-' * 10}|{'-' * 11}|{'-' * 20}|{'-' * 20}|")
    for name, (structures, n) in cases.items():
        edges = int(build_graphs(structures, CUTOFF).n_edges.sum())
        calls = [lambda f=f, s=structures: f(s) for f in (ours, bare_vesin, by_ase)]
        first, *others = [1e3 * seconds for seconds in medians(calls, n)]
        told = " | ".join(f"{t:9.3f} ({t / first:5.1f})".rjust(18) for t in others)
        print(f"| {name:26s} | {edges:8d} | {first:9.3f} | {told} |")


if __name__ == "__main__":
    main()
