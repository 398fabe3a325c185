"""Processor time of a step beside the package's own calculator: silicon, rock salt, a perovskite, and
32 small crystals as one batch, one thread each.

    python -m recipes.crystals.speed sevennet FILE.pth --model sevennet-0 [--repeats 5]
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.spacegroup import crystal

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.formats.ase_atoms import from_ase
from app.store.location import default_store, located, open_store
from app.training.importers.catalogue import FORMATS


def samples() -> dict[str, list[Atoms]]:
    """Crystals by name, displaced by 0.05 Å."""
    perovskite = crystal(
        ("Ca", "Ti", "O"),
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
        spacegroup=221,
        cellpar=[3.9, 3.9, 3.9, 90, 90, 90],
    )
    small = [bulk("Si"), bulk("NaCl", "rocksalt", 5.64), bulk("MgO", "rocksalt", 4.21), bulk("Cu")]
    found = {
        "Si64": [bulk("Si", cubic=True).repeat(2)],
        "NaCl64": [bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat(2)],
        "perovskite, 20 atoms": [perovskite.repeat((2, 2, 1))],
        "32 small crystals": [atoms.repeat(2) for atoms in small * 8],
    }
    for number, atoms in enumerate(atoms for group in found.values() for atoms in group):
        atoms.rattle(0.05, seed=number)
    return found


def medians(
    one: Callable[[], object], other: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Processor time in ms of either, which take turns; the first ones are not counted."""
    times = []
    for _ in range(repeats + 1):
        began = time.process_time()
        one()
        between = time.process_time()
        other()
        times.append((between - began, time.process_time() - between))
    first, second = 1000 * np.median(times[1:], axis=0)
    return float(first), float(second)


def ours(backend: Backend, structures: list[Structure]) -> None:
    """A step of Equipot: graphs, one batch."""
    backend(collate([build_graph(each, backend.card.cutoff) for each in structures]))


def package(calculator: Calculator, group: list[Atoms]) -> None:
    """A step of the package, structure by structure."""
    for atoms in group:
        calculator.calculate(atoms, ["energy", "forces", "stress"], ["positions"])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("file", type=Path, help="that the model was imported from")
    parser.add_argument("--model", required=True, help="`name` or `name@version`")
    parser.add_argument("--model-store", type=located, help="folder or URL of the models")
    parser.add_argument("--repeats", type=int, default=5, help="steps (5)")
    parser.add_argument("--only", help="one of the samples")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stored = open_store(options.model_store or default_store()).load(options.model)
    backend = load_backend(stored, threads=1)
    theirs = FORMATS[options.format].importer.calculator(options.file)
    print(
        f"{stored.card.reference}, {backend.runtime}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}"
    )
    print("| sample | atoms | Equipot, ms | package, ms | ratio |\n|---|---|---|---|---|")
    for name, group in samples().items():
        if options.only in (None, name):
            structures = [from_ase(atoms) for atoms in group]
            times = medians(
                partial(ours, backend, structures), partial(package, theirs, group), options.repeats
            )
            count = sum(map(len, group))
            print(
                f"| {name} | {count} | {times[0]:.1f} | {times[1]:.1f} | {times[1] / times[0]:.2f} |"
            )


if __name__ == "__main__":
    main()
