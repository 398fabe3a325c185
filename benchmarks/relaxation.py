"""Relaxation in batches, beside ASE's optimisers one by one on the same artifact.

    python -m benchmarks.relaxation molecules --molecules drugs.sdf --threads 2
    python -m benchmarks.relaxation crystals
    python -m benchmarks.relaxation throughput --molecules drugs.sdf --threads 2
    python -m benchmarks.relaxation throughput --device cuda --in-flight 1024 --batch-atoms 30000

`molecules` relaxes the molecules of a file whose elements the bundled model knows, or distorted
aspirins where there is no file; `crystals` 200 rattled and strained Lennard-Jones crystals with
their cells. Both compare minima and steps with ASE's from the same start, those of `auto` with its
L-BFGS's. `throughput` has many
relaxations of molecules in flight, and says which share of the wall time the backend is busy; ASE
relaxes a sample of them, one after the other.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.filters import UnitCellFilter
from ase.optimize import FIRE, LBFGS

from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.bench.relaxation import Timed, relax_all
from app.engine.limits import BatchLimits
from app.errors import EquipotError
from app.formats.ase_atoms import from_ase, to_ase
from app.formats.files import read_structures
from app.relax import Relaxed, RelaxOptions
from app.store.card import ModelCard
from app.store.store import ModelStore
from benchmarks.structures import rattled_aspirins
from benchmarks.timing import print_header, print_row
from equipot import EquipotCalculator

Options = argparse.Namespace
ASE = {"fire": FIRE, "lbfgs": LBFGS, "auto": LBFGS}
"""Of ASE, by ours that it is compared with."""
FMAX, STEPS = 0.05, 1000
SAME = 1e-3
"""eV; minima closer than this are the same."""


def ours(
    backend: Backend, structures: Sequence[Structure], asked: RelaxOptions, options: Options
) -> list[Relaxed | EquipotError]:
    """Relax all structures, so many at a time."""
    atoms = options.batch_atoms
    budget = BatchLimits(atoms=atoms, edges=80 * atoms, structures=atoms).budget(None)
    return relax_all(backend, structures, asked, options.in_flight, budget)


def theirs(
    backend: Backend, atoms: Atoms, optimizer: str, cell: bool = False, fmax: float = FMAX
) -> tuple[float, int, bool]:
    """Energy, steps, and whether it converged, of ASE's optimiser."""
    atoms = atoms.copy()
    atoms.calc = EquipotCalculator(backend)
    run = ASE[optimizer](UnitCellFilter(atoms) if cell else atoms, logfile=None)
    converged = run.run(fmax=fmax, steps=STEPS)
    return atoms.get_potential_energy(), run.nsteps, bool(converged)


def compare(backend: Backend, structures: Sequence[Structure], options: Options) -> None:
    """Print, for each optimiser, how minima and steps compare with ASE's."""
    columns = ("optimiser", "structures", "both converged", "same minimum", "largest ΔE, meV")
    print_header([*columns, "steps, ours", "ASE's", "ratio"])
    cell = options.what == "crystals"
    fmax = FMAX / 5 if cell else FMAX  # the crystals' forces are weak
    for name in ASE:
        asked = RelaxOptions(fmax=fmax, steps=STEPS, optimizer=name, cell=cell)
        mine = ours(backend, structures, asked, options)
        pairs = [
            (m, theirs(backend, to_ase(s), name, cell, fmax))
            for m, s in zip(mine, structures, strict=True)
        ]
        both = [(m, t) for m, t in pairs if isinstance(m, Relaxed) and m.converged and t[2]]
        apart = np.array([abs(m.prediction.energy - t[0]) for m, t in both])
        own, other = np.array([(m.steps, t[1]) for m, t in both]).sum(axis=0)
        same, largest = (apart < SAME).sum(), f"{1e3 * apart.max():.3f}"
        print_row([name, len(pairs), len(both), same, largest, own, other, f"{own / other:.3f}"])


def throughput(backend: Backend, structures: Sequence[Structure], options: Options) -> None:
    """Print relaxations and steps a second of both, and the share of the time in our backend."""
    many = [structures[i % len(structures)] for i in range(options.count)]
    columns = ("optimiser", "in flight", "relaxations/s", "atoms × steps/s", "in the backend")
    print_header([*columns, "ASE, one by one", "ratio"])
    for name in ASE:
        timed, alone = Timed(backend), Timed(backend)
        began = time.perf_counter()
        mine = ours(timed, many, RelaxOptions(fmax=FMAX, steps=STEPS, optimizer=name), options)
        seconds = time.perf_counter() - began
        assert all(isinstance(m, Relaxed) for m in mine)
        began = time.perf_counter()
        for structure in many[:: max(1, len(many) // options.sample)]:
            theirs(alone, to_ase(structure), name)
        one_by_one = alone.atoms / (time.perf_counter() - began)
        rate, busy = timed.atoms / seconds, f"{timed.seconds / seconds:.1%}"
        shown = (f"{len(many) / seconds:.2f}", f"{rate:.0f}", busy, f"{one_by_one:.0f}")
        print_row([name, min(len(many), options.in_flight), *shown, f"{rate / one_by_one:.2f}"])


def rattled_crystals(count: int) -> list[Structure]:
    """Noble gases in fcc and hcp cells, strained by up to 3 % and rattled by 0.05 Å."""
    crystals = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        symbol, length = [("Ar", 5.3), ("Kr", 5.6), ("Ne", 4.3)][seed % 3]
        crystal = [
            bulk(symbol, "fcc", a=length, cubic=True),
            bulk(symbol, "fcc", a=length) * (2, 2, 1),
            bulk(symbol, "hcp", a=length / np.sqrt(2), c=length * np.sqrt(4 / 3)) * (1, 2, 1),
        ][seed // 3 % 3]
        strain = np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))
        crystal.set_cell(crystal.cell @ strain, scale_atoms=True)
        crystal.positions += rng.normal(0, 0.05, crystal.positions.shape)
        crystals.append(from_ase(crystal))
    return crystals


def molecules(options: Options, card: ModelCard) -> list[Structure]:
    """The neutral molecules of a file that consist of the model's elements; aspirins without one."""
    if options.molecules is None:
        return [from_ase(atoms) for atoms in rattled_aspirins(options.count)]
    frames = (frame.structure for frame in read_structures(options.molecules))
    neutral = [s for s in frames if isinstance(s, Structure) and not s.charge]
    return [s for s in neutral if np.isin(s.numbers, card.numbers).all()][: options.count]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["molecules", "crystals", "throughput"])
    parser.add_argument("--molecules", type=Path, help="file of molecules, with hydrogens")
    parser.add_argument("--model", default="organic-xtb", help="of molecules (%(default)s)")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="of molecules (%(default)s)")
    parser.add_argument("--count", type=int, default=200, help="structures (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=256, help="at a time (%(default)s)")
    parser.add_argument("--batch-atoms", type=int, default=0, help="most; 0: the service's default")
    parser.add_argument("--sample", type=int, default=24, help="that ASE relaxes, for throughput")
    options = parser.parse_args()
    store = ModelStore(options.store)
    if options.what == "crystals":
        compare(load_backend(store.load("lennard-jones")), rattled_crystals(options.count), options)
        return
    model = store.load(options.model)
    backend = load_backend(model, threads=options.threads, device=options.device)
    task = compare if options.what == "molecules" else throughput
    task(backend, molecules(options, model.card), options)


if __name__ == "__main__":
    main()
