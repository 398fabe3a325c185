"""Sample a molecule that `build.py` made: Langevin dynamics with GFN2-xTB, for `equipot label` to
label.

A run that was stopped goes on where it was: each frame of a trajectory is a line of its journal,
with the momenta, and the random numbers of the steps to the next frame depend on nothing but seed,
trajectory and frame.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.io import read, write
from ase.md.langevin import Langevin
from tblite.ase import TBLite

from app.labelling.isolation import isolated

TEMPERATURE = 500.0  # K, as MD22
STEP = 1.0  # fs
FRICTION = 0.02  # 1/fs
STEPS = 10  # from frame to frame
EQUILIBRATION = 50  # frames that are left out
FRAMES = 208  # of a trajectory, after these
TRAJECTORIES = 4
SEED = 20
TIMEOUT = 24 * 3600.0  # s, for one trajectory


class Trajectory(NamedTuple):
    """What a worker samples.

    Attributes:
        start: file of the molecule at its minimum.
        journal: file that holds a line for each frame.
        number: of the trajectory, from 0; decides its random numbers.
        frames: how many to sample, those of the equilibration included.
    """

    start: Path
    journal: Path
    number: int
    frames: int


def main() -> None:
    """Sample what is not sampled yet, then write `<molecule>-frames.xyz`, one trajectory after the
    other.
    """
    options = _options()
    path = options.folder / options.molecule
    wanted = [
        Trajectory(
            path.with_suffix(".xyz"),
            Path(f"{path}-{number}.jsonl"),
            number,
            EQUILIBRATION + options.frames,
        )
        for number in range(options.trajectories)
    ]
    for outcome in isolated(sampler, wanted, options.processes, TIMEOUT):
        if outcome.failure is not None:
            raise SystemExit(f"trajectory {outcome.item.number}: {outcome.failure}")
        print(f"trajectory {outcome.item.number}: {outcome.value:.0f} K on average", flush=True)
    write(
        f"{path}-frames.xyz",
        [atoms for trajectory in wanted for atoms in frames_of(trajectory)],
        format="extxyz",
    )


def sampler() -> Callable[[Trajectory], float]:
    """What a worker does with a trajectory."""
    return run


def run(trajectory: Trajectory) -> float:
    """Sample the frames that are not in the journal; the mean temperature after equilibration, in
    K.
    """
    atoms, records = read(trajectory.start), read_journal(trajectory.journal)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    with trajectory.journal.open("a") as journal:
        for frame in range(len(records), trajectory.frames):
            records.append(
                advance(atoms, records, np.random.default_rng([SEED, trajectory.number, frame]))
            )
            journal.write(json.dumps(records[-1]) + "\n")
            journal.flush()
    return float(np.mean([record["temperature"] for record in records[EQUILIBRATION:]]))


def advance(
    atoms: Atoms, records: list[dict[str, Any]], rng: np.random.Generator
) -> dict[str, Any]:
    """The record of the frame after the last of the records."""
    if records:
        atoms.positions = records[-1]["positions"]
        atoms.set_momenta(records[-1]["momenta"])
    else:
        deviations = np.sqrt(atoms.get_masses() * units.kB * TEMPERATURE)
        atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * deviations[:, None])
    friction = FRICTION / units.fs
    dynamics = Langevin(
        atoms, STEP * units.fs, temperature_K=TEMPERATURE, friction=friction, fixcm=False, rng=rng
    )
    dynamics.run(STEPS)
    return {
        "positions": atoms.positions.tolist(),
        "momenta": atoms.get_momenta().tolist(),
        "temperature": atoms.get_temperature(),
    }


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Records of an earlier run; a line that a killed run left half-written is cut."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def frames_of(trajectory: Trajectory) -> Iterator[Atoms]:
    """The frames after equilibration; `info` has the numbers of trajectory and frame."""
    numbers = read(trajectory.start).numbers
    for index, record in enumerate(
        read_journal(trajectory.journal)[EQUILIBRATION : trajectory.frames]
    ):
        yield Atoms(
            numbers, record["positions"], info={"trajectory": trajectory.number, "frame": index}
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("molecule", choices=("at-at", "ac-ala3"))
    parser.add_argument(
        "--folder", type=Path, default=Path("data/larger-molecules"), help="folder of the data"
    )
    parser.add_argument("--trajectories", type=int, default=TRAJECTORIES)
    parser.add_argument(
        "--frames", type=int, default=FRAMES, help="of each trajectory, after equilibration"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="worker processes"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
