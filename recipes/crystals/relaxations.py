"""Relaxations of perturbed crystals with their cells: in flight, against ASE's `FrechetCellFilter` one by
one on the same artifact.

    python -m recipes.crystals.relaxations FRAMES.xyz --model sevennet-0 [--count 1000] [--beside 50]

Frames are perturbed: cells strained by 3 %, atoms displaced by 0.1 Å. Two minima are the same if their
energies differ by less than 1 meV an atom. Times are those of the processor, since others may run
beside it; how far it is goes to standard error after each request.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.io import iread
from ase.optimize import LBFGS

from app.formats.ase_atoms import from_ase
from app.protocol.response import Answered, Result
from app.relax import RelaxOptions
from app.store.location import default_store
from equipot import EquipotCalculator
from recipes.crystals.perturbed import perturbed
from recipes.measures.model import AT_ONCE, Model, add_model_options, opened
from recipes.measures.results import publish, table

SAME = 1.0
"""meV an atom; minima that are closer are one."""


def crystals(path: str, count: int, most_atoms: int) -> list[Atoms]:
    """The first frames of a file that have no more atoms, perturbed; again, and otherwise perturbed,
    where they are too few.
    """
    rng = np.random.default_rng(0)
    small = (atoms for atoms in iread(path, format="extxyz") if len(atoms) <= most_atoms)
    return [perturbed(atoms, 0.03, 0.1, rng) for atoms in islice(cycle(small), count)]


def in_flight(model: Model, given: Sequence[Atoms], relax: RelaxOptions) -> list[Result]:
    """An answer for each crystal; a request holds as many as the service takes at once."""
    answers: list[Result] = []
    for start in range(0, len(given), AT_ONCE):
        part = given[start : start + AT_ONCE]
        answers += model.ask([from_ase(atoms) for atoms in part], relax)
        seconds = time.process_time()
        print(f"{len(answers)} of {len(given)}, {seconds:.0f} s of processor time", file=sys.stderr)
    return answers


def one_by_one(
    given: Sequence[Atoms], calculator: EquipotCalculator, relax: RelaxOptions
) -> list[tuple[float, int]]:
    """Where ASE's L-BFGS ends, eV an atom, and after how many steps."""
    ends = []
    for atoms in given:
        own = atoms.copy()
        own.calc = calculator
        run = LBFGS(FrechetCellFilter(own), logfile=None)
        run.run(fmax=relax.fmax, steps=relax.steps)
        ends.append((own.get_potential_energy() / len(own), run.nsteps))
    return ends


def compared(
    answers: Sequence[Result], given: Sequence[Atoms], theirs: Sequence[tuple[float, int]]
) -> dict[str, object]:
    """Of what converged here: how many minima are the same, and how many steps either took."""
    pairs = [
        (answer.relaxed, 1000 * (answer.relaxed.prediction.energy / len(atoms) - energy), steps)
        for answer, atoms, (energy, steps) in zip(answers, given, theirs, strict=False)
        if isinstance(answer, Answered) and answer.relaxed and answer.relaxed.converged
    ]
    apart = [difference for _, difference, _ in pairs]
    ours, ase = [relaxed.steps for relaxed, _, _ in pairs], [steps for _, _, steps in pairs]
    return {
        "compared": len(pairs),
        "same_minimum": sum(abs(difference) < SAME for difference in apart),
        "lower": sum(difference <= -SAME for difference in apart),
        "median_steps": float(np.median(ours)),
        "median_steps_of_ase": float(np.median(ase)),
        "apart_mev_per_atom": apart,
        "steps": ours,
        "steps_of_ase": ase,
    }


def main() -> None:
    """Print rates, and how far the minima are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", help="extXYZ")
    parser.add_argument("--count", type=int, default=1000, help="crystals in flight (1000)")
    parser.add_argument("--beside", type=int, default=50, help="of them, by ASE (50)")
    parser.add_argument("--most-atoms", type=int, default=24, help="of a crystal (24)")
    parser.add_argument("--fmax", type=float, default=0.02, help="eV/Å (0.02)")
    parser.add_argument("--steps", type=int, default=1000, help="most of a relaxation (1000)")
    add_model_options(parser)
    options = parser.parse_args()
    given = crystals(options.frames, options.count, options.most_atoms)
    with opened(options) as model:
        began = time.process_time()
        relax = RelaxOptions(fmax=options.fmax, cell="full", steps=options.steps)
        answers = in_flight(model, given, relax)
        together = time.process_time() - began
        ended = [a.relaxed for a in answers if isinstance(a, Answered) and a.relaxed]
        store = options.model_store or default_store()
        calculator = EquipotCalculator(options.model, store, threads=options.threads)
        beside = given[: options.beside]
        began = time.process_time()
        theirs = one_by_one(beside, calculator, relax)
        alone = time.process_time() - began
        values: dict[str, object] = {
            "crystals": len(given),
            "atoms": sum(map(len, given)),
            "converged": sum(each.converged for each in ended),
            "errors": len(given) - len(ended),
            "mean_steps": float(np.mean([each.steps for each in ended])),
            "most_steps": max(each.steps for each in ended),
            "in_flight_per_cpu_second": len(given) / together,
            "one_by_one": len(beside),
            "one_by_one_converged": sum(steps < relax.steps for _, steps in theirs),
            "one_by_one_per_cpu_second": len(beside) / alone,
            **compared(answers, beside, theirs),
        }
        rows = [(name, value) for name, value in values.items() if not isinstance(value, list)]
        publish(options, model, [table(("what", "value"), rows)], values)


if __name__ == "__main__":
    main()
