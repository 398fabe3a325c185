"""Relaxations in flight: atoms times steps a second, beside a published number and TorchSim."""

from typing import Any

from benchmarks.gpu_parts.report import Report, Setup
from benchmarks.structures import aspirin, chain

IN_FLIGHT = (256, 1024)
STEPS = 60
"""Steps of each relaxation: none converges earlier, so that the number in flight stays the same."""
PUBLISHED = (
    "published for ALCHEMI BGR NIM on an H100: 3.02 µs an atom a step, batches of 40,000 to 200,000 atoms of crystals. "
    "That is MACE-MP-0b2-Large, another and much larger model, on other structures: a landmark, not a comparison"
)

TORCH_SIM = (
    "TorchSim runs the same network, eager, on all structures in one batch, with our neighbour lists made anew at each "
    "step, as its own models make theirs; ours keeps them for several"
)


def measure(setup: Setup) -> Report:
    """Molecules and molecular crystals, FIRE and L-BFGS."""
    from app.backends import load_backend
    from app.bench.relaxation import relax_speed
    from app.bench.samples import Sample
    from app.engine.limits import Limits
    from app.relax import RelaxOptions
    from app.store.store import ModelStore

    columns = (
        "system",
        "optimiser",
        "in flight",
        "atoms in flight",
        "relaxations/s",
        "atoms × steps/s",
    )
    report = Report((*columns, "µs an atom a step", "in the backend"))
    report.notes += [
        PUBLISHED,
        TORCH_SIM,
        f"model: {setup.options.model}; each relaxation takes {_steps(setup)} steps",
    ]
    backend = load_backend(
        ModelStore(setup.options.store).load(setup.options.model),
        setup.options.threads,
        setup.device,
    )
    for name, structures in _samples().items():
        for optimizer in ("fire",) if setup.quick else ("fire", "lbfgs"):
            for count in (4,) if setup.quick else IN_FLIGHT:
                sample = Sample(name, [structures[i % len(structures)] for i in range(count)])
                atoms = sum(map(len, sample.structures))
                budget = Limits(
                    atoms=max(4096, atoms), edges=1 << 23, structures=count, seconds=60.0
                ).budget(None)
                asked = RelaxOptions(fmax=1e-9, steps=_steps(setup), optimizer=optimizer)
                try:
                    speed = relax_speed(backend, sample, asked, count, budget, 0.0)
                except Exception as error:
                    report.lacks(f"{name}, {optimizer}, {count} in flight", error)
                    continue
                rates = (speed.rate, speed.atom_steps, 1e6 / speed.atom_steps, speed.backend_share)
                report.rows.append((name, optimizer, count, atoms, *rates))
                if optimizer == "fire":
                    _beside(report, setup, name, list(sample.structures))
    return report


def _steps(setup: Setup) -> int:
    return 3 if setup.quick else STEPS


def _samples() -> dict[str, list[Any]]:
    """Made-up molecules of the size of drugs, and aspirins in periodic cells, of elements of the
    bundled model.
    """
    from app.atoms.structure import Structure

    def of(atoms: Any) -> Any:
        return Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)

    molecules = [chain(20 + seed % 41, seed) for seed in range(64)]
    cell = aspirin()
    cell.set_cell([11.5, 9.0, 8.0])
    cell.pbc = True
    crystals = [cell * (2, 1, 1), cell * (2, 2, 1), cell * (2, 2, 2)]
    for crystal in crystals:
        crystal.rattle(0.05, seed=1)
    return {
        "molecules of 20 to 60 atoms": [of(m) for m in molecules],
        "crystals of 42 to 168 atoms": [of(c) for c in crystals],
    }


def _beside(report: Report, setup: Setup, name: str, structures: list[Any]) -> None:
    """The same structures in TorchSim's FIRE; without it, why not."""
    from app.store.store import ModelStore

    try:
        from benchmarks.gpu_parts.torchsim import atom_steps

        store = ModelStore(setup.options.store)
        rate = atom_steps(setup.options.model, store, structures, _steps(setup), setup.device)
    except Exception as error:
        report.lacks(f"TorchSim, {name}, {len(structures)} in flight", error)
        return
    atoms = sum(map(len, structures))
    report.rows.append(
        (name, "TorchSim fire", len(structures), atoms, None, rate, 1e6 / rate, None)
    )
