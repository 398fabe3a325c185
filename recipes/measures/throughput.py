"""Structures a second beside GFN2-xTB on the same cores: single points and relaxations.

    OMP_NUM_THREADS=1 python -m recipes.measures.throughput --molecules MiniDrugBank.sdf --model NAME --threads 2

The model gets `--threads` threads and all molecules at once; GFN2-xTB, which evaluates one molecule at a
time, gets as many processes of one thread. Both relax until no force is longer than 0.05 eV/Å, with
L-BFGS, from the geometries of the file. Rates are by processor time, which hardly depends on what else
runs; `wall` is the ratio by the clock, which does.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from app.protocol.response import Answered
from app.relax import RelaxOptions
from recipes.measures import gfn2
from recipes.measures.cache import Record
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.molecules import Molecule, read_molecules
from recipes.measures.results import publish, table

T = TypeVar("T")

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
    of_reference: Callable[[], list[float]],
) -> list[Record]:
    """Structures a second of both, the median of some repeats in turn.

    Args:
        what: of the rows.
        molecules: that both evaluate.
        repeats: of each.
        of_model: evaluates them in this process.
        of_reference: the same in others; gives the processor seconds of each.
    """
    of_model()  # what is measured has evaluated such a batch before
    times = []
    for _ in range(repeats):
        wall, processor, _ = _timed(of_model)
        other_wall, _, others = _timed(of_reference)
        times.append(((wall, processor), (other_wall, sum(others))))
    medians = np.median(times, axis=0)
    atoms = sum(len(molecule.numbers) for molecule in molecules)
    return [
        {
            "what": what,
            "by": name,
            "structures": len(molecules),
            "atoms": atoms,
            "wall_seconds": float(wall),
            "processor_seconds": float(processor),
        }
        for name, (wall, processor) in zip(("model", "GFN2-xTB"), medians, strict=True)
    ]


def _timed(run: Callable[[], T]) -> tuple[float, float, T]:
    """Wall and processor seconds of this process, and what came of it."""
    wall, processor = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - wall, time.process_time() - processor, result


def _point(molecule: Molecule) -> float:
    """Processor seconds of GFN2-xTB."""
    start = time.process_time()
    gfn2.single_point(molecule.numbers, molecule.positions, molecule.charge)
    return time.process_time() - start


def _minimum(molecule: Molecule) -> float:
    """The same of a relaxation."""
    start = time.process_time()
    gfn2.minimum(molecule.numbers, molecule.positions, molecule.charge, OPTIONS.fmax)
    return time.process_time() - start


def summary(records: Sequence[Record], threads: int) -> str:
    """Rates of both, and how many times the model is faster."""
    rows = []
    for model, reference in zip(records[::2], records[1::2], strict=True):
        count = model["structures"]
        own, other = (count / each["processor_seconds"] for each in (model, reference))
        wall = reference["wall_seconds"] / model["wall_seconds"]
        size = model["atoms"] / count
        rows.append((model["what"], count, size, own, other, own / other, wall))
    names = (f"threads: {threads}", "structures", "atoms, mean", "model, a core-second")
    return table((*names, "GFN2-xTB, a core-second", "times", "wall"), rows)


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
