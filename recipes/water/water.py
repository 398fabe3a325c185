"""Molecular dynamics of liquid water with a trained model, from a test frame: stability and
structure.

    python -m recipes.water.water MODEL --test test.extxyz --train train.extxyz

So many picoseconds with a Langevin thermostat, then as many without: the drift of the total energy,
the temperature, and the radial distribution of the oxygens beside that of the reference frames.
Prints a table, and draws `water-rdf.png` and `water-energy.png`. What is done is kept in the folder
`--output`, half a picosecond a file; the same command goes on with it. Energy and force errors are
what `equipot evaluate` prints.
"""

import argparse
import hashlib
from pathlib import Path

from ase import Atoms
from ase.io import read

from app.store.location import located, open_store
from equipot import EquipotCalculator
from recipes.claim import claim
from recipes.water.dynamics import Dynamics, Unstable
from recipes.water.water_report import (
    Run,
    draw_distributions,
    draw_energies,
    liquid_of,
    table,
)

EVERY = 10.0  # fs from frame to frame
FRICTION = 0.01  # 1/fs
PHASES = ("nvt", "nve")


def main() -> None:
    """Run what is left to run, print the table, draw."""
    options = _options()
    atoms = read(options.test, index=options.frame)
    every = round(EVERY / options.step)
    dynamics = Dynamics(
        options.output, options.step, every, options.temperature, FRICTION, options.seed
    )
    _claim(options, atoms)
    failure = _sample(dynamics, atoms, options)
    reference = [
        frame for path in (options.train, options.test) if path for frame in read(path, index=":")
    ]
    skipped = {"nvt": round(1000 * options.skip / EVERY), "nve": 0}
    runs = {
        name.upper(): Run(
            atoms, trajectory, EVERY, options.temperature, skipped[name], name == "nvt"
        )
        for name in PHASES
        if (trajectory := dynamics.trajectory(name)) is not None
        and len(trajectory.potential) > skipped[name]
    }
    liquids = {"reference": liquid_of(reference)} | {
        name: liquid_of(run.frames()) for name, run in runs.items()
    }
    print(table(runs, liquids, every))
    options.figures.mkdir(parents=True, exist_ok=True)
    draw_distributions(options.figures / "water-rdf.png", liquids)
    if runs:
        draw_energies(options.figures / "water-energy.png", runs)
    if failure is not None:
        raise SystemExit(f"unstable: {failure}")


def _sample(dynamics: Dynamics, atoms: Atoms, options: argparse.Namespace) -> Unstable | None:
    """Run both halves; why they ended early, if they did."""
    atoms.calc = EquipotCalculator(options.model, options.model_store, threads=options.threads)
    frames = round(1000 * options.picoseconds / EVERY)
    try:
        for name in PHASES:
            dynamics.run(atoms, name, frames)
    except Unstable as failure:
        return failure
    return None


def _claim(options: argparse.Namespace, atoms: Atoms) -> None:
    """Note in the output folder what is run there; refuse a folder where something else was."""
    settings = {
        "model": open_store(options.model_store).load(options.model).digest,
        "start": hashlib.sha256(atoms.positions.tobytes()).hexdigest(),
        **{name: getattr(options, name) for name in ("picoseconds", "step", "temperature", "seed")},
    }
    claim(options.output, settings, "--output")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name or name@version of the store")
    parser.add_argument("--model-store", type=located, default=Path("model_store"))
    parser.add_argument(
        "--test", type=Path, required=True, help="frames, one of which is the start"
    )
    parser.add_argument("--train", type=Path, help="more frames for the reference distribution")
    parser.add_argument(
        "--frame", type=int, default=0, help="of the test file, where the dynamics start"
    )
    parser.add_argument("--picoseconds", type=float, default=10.0, help="of each half")
    parser.add_argument(
        "--skip",
        type=float,
        default=1.0,
        help="picoseconds of the first half that are not averaged",
    )
    parser.add_argument("--step", type=float, default=0.5, help="fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/water-md"), help="folder of the trajectory"
    )
    parser.add_argument("--figures", type=Path, default=Path("docs/accuracy"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
