"""Molecular dynamics of drug-like molecules: whether they hold together, and whether energy is kept.

    python -m recipes.measures.dynamics --molecules MiniDrugBank.sdf --model NAME --temperature 300

Each molecule is relaxed, heated by a Langevin thermostat (friction 0.01/fs) for `--heating`
picoseconds, then left alone for `--picoseconds`. It breaks when a bond breaks or forms, when it is
hotter than five times the temperature, or when two of its atoms meet. The drift is the slope of the
total energy without a thermostat. All molecules are evaluated together. What is done is kept in
`--run`, a part at a time; the same command goes on with it.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.protocol.response import Answered
from app.relax import RelaxOptions
from app.store.location import default_store, open_store
from recipes.claim import claim
from recipes.measures.ensemble import Array, Ensemble
from recipes.measures.model import Model, add_model_options, opened
from recipes.measures.molecules import Molecule, read_molecules, structure_of
from recipes.measures.results import publish, table
from recipes.measures.trajectory import EVERY, PART, Trajectory

SIZES = range(20, 61)
FRICTION = 0.01  # 1/fs
SETTINGS = ("count", "heating", "step", "temperature", "seed")


def main() -> None:
    """Run what is left to run, and print."""
    options = _options()
    with opened(options) as model:
        _claim(options, model)
        names, starts = kept_drugs(options, model)
        trajectory = Trajectory(
            options.run, options.step, options.temperature, FRICTION, options.seed
        )
        ensemble = Ensemble(_backend(options), starts)
        trajectory.run(ensemble, options.heating, options.picoseconds)
        records = [record(name, index, trajectory, ensemble) for index, name in enumerate(names)]
        publish(options, model, [by_molecule(records), summary(records)], {"molecules": records})


def kept_drugs(options: argparse.Namespace, model: Model) -> tuple[list[str], list[Structure]]:
    """Names and relaxed geometries; those of an earlier run, where there was one."""
    path = options.run / "starts.json"
    molecules = read_molecules(options.molecules)
    if not path.exists():
        names, starts = relaxed_drugs(model, molecules, options.count)
        text = json.dumps([[n, s.positions.tolist()] for n, s in zip(names, starts, strict=True)])
        partial = path.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(path)
    by_name = {molecule.name: molecule for molecule in molecules}
    kept = [(by_name[name], positions) for name, positions in json.loads(path.read_text())]
    return [molecule.name for molecule, _ in kept], [
        structure_of(molecule.numbers, np.array(positions), molecule.charge)
        for molecule, positions in kept
    ]


def relaxed_drugs(
    model: Model, molecules: Sequence[Molecule], count: int
) -> tuple[list[str], list[Structure]]:
    """The first molecules by rank, of 20 to 60 atoms, that the model relaxes."""
    ranked = sorted(molecules, key=lambda molecule: molecule.rank)
    names, starts = [], []
    for molecule in (m for m in ranked if len(m.numbers) in SIZES):
        if len(names) < count:
            (result,) = model.ask([molecule.structure], RelaxOptions())
            if isinstance(result, Answered) and result.relaxed is not None:
                names.append(molecule.name)
                starts.append(result.relaxed.structure)
    return names, starts


def record(name: str, index: int, trajectory: Trajectory, ensemble: Ensemble) -> dict[str, Any]:
    """What became of one molecule; drift in µeV/atom/ps, deviation from it in µeV/atom."""
    found: dict[str, Any] = {"name": name, "broke": ensemble.stopped.get(index)}
    energy = 1e6 * trajectory.totals("nve")[:, index] / len(ensemble.molecules[index])
    if index not in ensemble.stopped and len(energy) > 2:
        drift, deviation = slope(energy, EVERY / 1000)
        found |= {"drift": drift, "deviation": deviation}
    return found


def slope(values: Array, spacing: float) -> tuple[float, float]:
    """Slope of equidistant values, and their standard deviation about that line."""
    times = spacing * np.arange(len(values))
    fit = np.polynomial.Polynomial.fit(times, values, 1).convert()
    return float(fit.coef[1]), float((values - fit(times)).std())


def by_molecule(records: Sequence[dict[str, Any]]) -> str:
    """A row for each molecule."""
    rows = [(r["name"], r.get("drift"), r.get("deviation"), r["broke"]) for r in records]
    head = ("molecule", "drift, µeV/atom/ps", "deviation, µeV/atom", "broke")
    return table(head, rows)


def summary(records: Sequence[dict[str, Any]]) -> str:
    """How many broke, and the drift of the others."""
    drifts = np.abs([r["drift"] for r in records if "drift" in r])
    rows: list[tuple[object, ...]] = [
        ("molecules", len(records)),
        ("broke", sum(r["broke"] is not None for r in records)),
    ]
    if len(drifts):
        rows.append(("drift, median, µeV/atom/ps", float(np.median(drifts))))
        rows.append(("drift, largest, µeV/atom/ps", float(drifts.max())))
    return table(("dynamics", ""), rows)


def _backend(options: argparse.Namespace) -> Backend:
    stored = open_store(options.model_store or default_store()).load(options.model)
    return load_backend(stored, threads=options.threads)


def _claim(options: argparse.Namespace, model: Model) -> None:
    """Note in the run's folder what is run there; refuse a folder where something else was."""
    settings = {
        "model": model.potential.digest,
        "molecules": hashlib.sha256(options.molecules.read_bytes()).hexdigest(),
        **{key: getattr(options, key) for key in SETTINGS},
    }
    claim(options.run, settings, "--run")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--count", type=int, default=20, help="molecules")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--heating", type=float, default=2.0, help="ps with a thermostat")
    parser.add_argument("--picoseconds", type=float, default=100.0, help="without a thermostat")
    parser.add_argument("--step", type=float, default=0.5, help="fs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, required=True, help="folder of the trajectory")
    add_model_options(parser)
    options = parser.parse_args()
    for name in ("heating", "picoseconds"):
        parts = getattr(options, name) / (EVERY * PART / 1000)
        if parts < 1 or abs(parts - round(parts)) > 1e-6:
            parser.error(f"--{name} {getattr(options, name)}: a multiple of 0.5 ps, at least that")
    return options


if __name__ == "__main__":
    main()
