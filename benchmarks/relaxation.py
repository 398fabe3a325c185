"""Relaxation in batches, beside ASE's optimisers one by one on the same artifact.

    python -m benchmarks.relaxation molecules --molecules drugs.sdf --threads 2
    python -m benchmarks.relaxation crystals
    python -m benchmarks.relaxation throughput --molecules drugs.sdf --threads 2

`molecules` relaxes the molecules of a file whose elements the bundled model knows, `crystals` 200
rattled and strained Lennard-Jones crystals with their cells; both compare minima and steps with
ASE's from the same start. `throughput` has 256 relaxations in flight, and says which share of the
wall time the backend is busy; ASE relaxes a sample of the same molecules, one after the other.
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
from app.engine.limits import Limits
from app.errors import EquipotError
from app.formats.ase_atoms import from_ase, to_ase
from app.formats.files import read_structures
from app.integrations.ase import EquipotCalculator
from app.relax import Relaxed, RelaxOptions
from app.settings import Settings
from app.store.card import ModelCard
from app.store.store import ModelStore

ASE = {"fire": FIRE, "lbfgs": LBFGS}
FMAX, STEPS = 0.05, 1000
IN_FLIGHT = 256
SAME = 1e-3
"""eV; minima closer than this are the same."""


def ours(
    backend: Backend, structures: Sequence[Structure], options: RelaxOptions
) -> list[Relaxed | EquipotError]:
    """Relax all structures, so many at a time."""
    return relax_all(backend, structures, options, IN_FLIGHT, Limits.of(Settings()).budget(None))


def theirs(
    backend: Backend, atoms: Atoms, optimizer: str, cell: bool = False, fmax: float = FMAX
) -> tuple[float, int, bool]:
    """Energy, steps, and whether it converged, of ASE's optimiser."""
    atoms = atoms.copy()
    atoms.calc = EquipotCalculator(backend)
    run = ASE[optimizer](UnitCellFilter(atoms) if cell else atoms, logfile=None)
    converged = run.run(fmax=fmax, steps=STEPS)
    return atoms.get_potential_energy(), run.nsteps, bool(converged)


def compare(backend: Backend, structures: Sequence[Structure], cell: bool) -> None:
    """Print, for each optimiser, how minima and steps compare with ASE's."""
    print(
        "| optimiser | structures | both converged | same minimum | largest ΔE, meV | steps, ours | ASE's | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    fmax = FMAX / 5 if cell else FMAX  # the crystals' forces are weak
    for name in ASE:
        options = RelaxOptions(fmax, STEPS, name, "full" if cell else "fixed")
        mine = ours(backend, structures, options)
        pairs = [
            (m, theirs(backend, to_ase(s), name, cell, fmax))
            for m, s in zip(mine, structures, strict=True)
        ]
        both = [(m, t) for m, t in pairs if isinstance(m, Relaxed) and m.converged and t[2]]
        apart = np.array([abs(m.prediction.energy - t[0]) for m, t in both])
        steps = np.array([(m.steps, t[1]) for m, t in both]).sum(axis=0)
        print(
            f"| {name} | {len(pairs)} | {len(both)} | {(apart < SAME).sum()} | {1e3 * apart.max():.3f} "
            f"| {steps[0]} | {steps[1]} | {steps[0] / steps[1]:.3f} |",
            flush=True,
        )


def rattled_crystals(count: int) -> list[Structure]:
    """Argon, krypton and neon in fcc, bcc and hcp cells, strained by up to 3 % and rattled by 0.05
    Å.
    """
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


def known_molecules(path: Path, card: ModelCard) -> list[Structure]:
    """The neutral molecules of a file that consist of the model's elements."""
    found = []
    for frame in read_structures(path):
        structure = frame.structure
        if (
            isinstance(structure, Structure)
            and not structure.charge
            and np.isin(structure.numbers, card.numbers).all()
        ):
            found.append(structure)
    return found


def throughput(backend: Backend, structures: Sequence[Structure], count: int, sample: int) -> None:
    """Print relaxations and steps a second of both, and the share of the time that our backend is
    busy.
    """
    many = [structures[i % len(structures)] for i in range(count)]
    print(
        "| optimiser | in flight | relaxations/s | atoms × steps/s | in the backend | ASE, one by one | ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in ASE:
        timed = Timed(backend)
        began = time.perf_counter()
        mine = ours(timed, many, RelaxOptions(FMAX, STEPS, name))
        seconds = time.perf_counter() - began
        assert all(isinstance(m, Relaxed) for m in mine)
        alone = Timed(backend)
        began = time.perf_counter()
        for structure in many[:: max(1, count // sample)]:
            theirs(alone, to_ase(structure), name)
        one_by_one = alone.atoms / (time.perf_counter() - began)
        rate = timed.atoms / seconds
        print(
            f"| {name} | {min(count, IN_FLIGHT)} | {count / seconds:.2f} | {rate:.0f} | {timed.seconds / seconds:.1%} "
            f"| {one_by_one:.0f} | {rate / one_by_one:.2f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["molecules", "crystals", "throughput"])
    parser.add_argument("--molecules", type=Path, help="file of molecules, with hydrogens")
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--count", type=int, default=256, help="structures (%(default)s)")
    parser.add_argument(
        "--sample", type=int, default=24, help="structures that ASE relaxes for the throughput"
    )
    options = parser.parse_args()
    store = ModelStore(options.store)
    if options.what == "crystals":
        compare(
            load_backend(store.load("lennard-jones")),
            rattled_crystals(min(options.count, 200)),
            True,
        )
        return
    if options.molecules is None:
        parser.error(f"{options.what} needs --molecules")
    backend = load_backend(
        store.load(options.model), threads=options.threads, device=options.device
    )
    structures = known_molecules(options.molecules, backend.card)[: options.count]
    if options.what == "molecules":
        compare(backend, structures, False)
    else:
        throughput(backend, structures, options.count, options.sample)


if __name__ == "__main__":
    main()
