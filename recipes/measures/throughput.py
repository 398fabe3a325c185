"""Structures a second beside GFN2-xTB on the same cores: single points and relaxations.

    OMP_NUM_THREADS=1 python -m recipes.measures.throughput --molecules MiniDrugBank.sdf --model NAME --threads 2

The model gets `--threads` threads and all molecules at once; GFN2-xTB, which evaluates one molecule at a
time, gets as many processes of one thread. Both relax until no force is longer than 0.05 eV/Å, with
L-BFGS, from the geometries of the file. Times are wall times, so that nothing else may run.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from app.protocol.response import Answered
from app.relax import RelaxOptions
from recipes.measures import gfn2
from recipes.measures.cache import Record
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.molecules import Molecule, read_molecules
from recipes.measures.results import publish, table

LARGEST = 80  # atoms
OPTIONS = RelaxOptions()


def main() -> None:
    """Measure and print."""
    options = _options()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("set OMP_NUM_THREADS=1: each process of GFN2-xTB is to have one thread")
    ranked = sorted(read_molecules(options.molecules), key=lambda molecule: molecule.rank)
    with opened(options) as model:
        chosen = answered(model, [m for m in ranked if len(m.numbers) <= LARGEST])[: options.count]
        relaxed = chosen[: options.relaxed]
        with ProcessPoolExecutor(options.threads, get_context("spawn")) as pool:
            list(pool.map(_point, chosen[: 2 * options.threads]))  # starts the processes
            records = [
                *rates(
                    "single points",
                    chosen,
                    options.repeats,
                    lambda: model.ask([m.structure for m in chosen]),
                    lambda: list(pool.map(_point, chosen)),
                ),
                *rates(
                    "relaxations",
                    relaxed,
                    1,
                    lambda: model.ask([m.structure for m in relaxed], OPTIONS),
                    lambda: list(pool.map(_minimum, relaxed)),
                ),
            ]
        publish(options, model, [summary(records, options.threads)], {"rates": records})


def answered(model: Model, molecules: Sequence[Molecule]) -> list[Molecule]:
    """Those that the model answers."""
    results = model.ask([molecule.structure for molecule in molecules])
    pairs = zip(molecules, results, strict=True)
    return [molecule for molecule, result in pairs if isinstance(result, Answered)]


def rates(
    what: str,
    molecules: Sequence[Molecule],
    repeats: int,
    of_model: Callable[[], object],
    of_reference: Callable[[], object],
) -> list[Record]:
    """Structures a second of both, the median of some repeats in turn."""
    of_model()  # what is measured has evaluated such a batch before
    seconds = np.array([[_timed(run) for run in (of_model, of_reference)] for _ in range(repeats)])
    medians = np.median(seconds, axis=0)
    atoms = sum(len(molecule.numbers) for molecule in molecules)
    return [
        {
            "what": what,
            "by": name,
            "structures": len(molecules),
            "atoms": atoms,
            "seconds": float(value),
            "structures_per_second": len(molecules) / float(value),
        }
        for name, value in zip(("model", "GFN2-xTB"), medians, strict=True)
    ]


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _point(molecule: Molecule) -> float:
    return gfn2.single_point(molecule.numbers, molecule.positions, molecule.charge)[0]


def _minimum(molecule: Molecule) -> float:
    return gfn2.minimum(molecule.numbers, molecule.positions, molecule.charge, OPTIONS.fmax).energy


def summary(records: Sequence[Record], threads: int) -> str:
    """Rates of both, and how many times the model is faster."""
    rows = []
    for model, reference in zip(records[::2], records[1::2], strict=True):
        own, other = model["structures_per_second"], reference["structures_per_second"]
        size = model["atoms"] / model["structures"]
        rows.append((model["what"], model["structures"], size, own, other, own / other))
    head = (f"{threads} cores", "structures", "atoms, mean", "model, 1/s", "GFN2-xTB, 1/s", "times")
    return table(head, rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--count", type=int, default=128, help="of single points")
    parser.add_argument("--relaxed", type=int, default=32, help="of relaxations")
    parser.add_argument("--repeats", type=int, default=5, help="of single points")
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
