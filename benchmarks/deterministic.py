"""What it costs that answers have the same bits in any batch: processor time of a batch, with and
without.

    python -m benchmarks.deterministic

One thread; each pair of batches is timed alternately in one process.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graphs
from app.backends import Backend, load_backend
from app.formats.ase_atoms import from_ase
from app.store.store import ModelStore
from benchmarks.structures import rattled_aspirins

MIXED = ("H2O", "CH4", "CH3CH2OH", "C6H6")


def batches() -> dict[str, list[Atoms]]:
    return {
        "64 aspirins": rattled_aspirins(64),
        "64 of water, methane, ethanol and benzene": [molecule(name) for name in MIXED * 16],
        "64 waters": [molecule("H2O") for _ in range(64)],
        "1 aspirin": rattled_aspirins(1),
    }


def busy(backend: Backend, graph: Graph) -> float:
    """Seconds of the processor."""
    began = time.process_time()
    backend(graph)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    model = ModelStore(options.store).load(options.model)
    plain, same = (load_backend(model, threads=1, deterministic=flag) for flag in (False, True))
    print("| batch | ms | ms, deterministic | ratio |\n|---|---:|---:|---:|")
    for name, atoms in batches().items():
        graph = build_graphs([from_ase(one) for one in atoms], model.card.cutoff)
        pairs = 1000 * np.array(
            [(busy(plain, graph), busy(same, graph)) for _ in range(options.rounds)]
        )
        first, second = np.median(pairs, axis=0)
        print(
            f"| {name} | {first:.1f} | {second:.1f} | {np.median(pairs[:, 1] / pairs[:, 0]):.2f} |"
        )


if __name__ == "__main__":
    main()
