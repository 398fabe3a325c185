"""Split labelled trajectories into train.xyz, validation.xyz and test.xyz, and say whether the
molecule held together.

Each trajectory gives its first stretch to training, then one to validation, then one to the test;
the frames of a gap between two stretches are left out, so that no test frame is a neighbour in time
of a training frame.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.io import iread, read, write
from numpy.typing import NDArray

Frames = list[Atoms]
SIZES = {"train": 500, "validation": 50, "test": 200}
GAP = 10  # frames
BONDED = 1.25  # sums of covalent radii, at the minimum
BROKEN = 1.5  # sums of covalent radii
CONTACTS = {
    "at-at": {"N1···N3": ((2, 21), (32, 51)), "N6···O4": ((0, 23), (30, 53))},
    "ac-ala3": {},
}
"""Pairs of atoms whose distances are reported, in the order of `build.py`: the hydrogen bonds of
the two base pairs.
"""
PAIR = 30  # atoms of a base pair


def main() -> None:
    """Write the three files into a folder of the molecule's name, and `splits.json`."""
    options = _options()
    folder, name = options.folder / options.molecule, options.molecule
    trajectories: dict[int, Frames] = defaultdict(list)
    for atoms in iread(f"{folder}-labelled.xyz", index=":"):
        trajectories[int(atoms.info["trajectory"])].append(atoms)
    folder.mkdir(exist_ok=True)
    splits = split(list(trajectories.values()))
    for part, frames in splits.items():
        write(folder / f"{part}.xyz", frames, format="extxyz")
    everything = [atoms for frames in trajectories.values() for atoms in frames]
    report = {part: statistics(frames) for part, frames in splits.items()}
    report["all frames"] = integrity(read(f"{folder}.xyz"), everything, CONTACTS[name])
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (folder / "splits.json").write_text(text + "\n")
    print(text)


def split(
    trajectories: list[Frames], sizes: dict[str, int] = SIZES, gap: int = GAP
) -> dict[str, Frames]:
    """The frames of each part, as evenly from all trajectories as its size allows."""
    parts: dict[str, Frames] = {part: [] for part in sizes}
    for number, frames in enumerate(trajectories):
        shares = [
            size // len(trajectories) + (number < size % len(trajectories))
            for size in sizes.values()
        ]
        needed = sum(shares) + gap * (len(shares) - 1)
        if len(frames) < needed:
            raise SystemExit(
                f"trajectory {number} has {len(frames)} frames; {needed} are needed: sample more of them"
            )
        first = 0
        for part, share in zip(parts.values(), shares, strict=True):
            part += frames[first : first + share]
            first += share + gap
    return parts


def statistics(frames: Frames) -> dict[str, Any]:
    """Counts of a part, the spread of its energies in eV and its force components in eV/Å."""
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    energies = [atoms.get_potential_energy() for atoms in frames]
    return {
        "frames": len(frames),
        "energy std": round(float(np.std(energies)), 3),
        "force rms": round(float(np.sqrt((forces**2).mean())), 3),
        "force max": round(float(np.abs(forces).max()), 2),
    }


def integrity(
    start: Atoms, frames: Frames, contacts: dict[str, tuple[tuple[int, int], ...]]
) -> dict[str, Any]:
    """Bonds of the minimum in the frames; smallest, mean and largest distance of the contacts, in
    Å.
    """
    positions = np.array([atoms.positions for atoms in frames])
    radii = covalent_radii[start.numbers]
    bonds = np.argwhere(np.triu(start.get_all_distances() < BONDED * (radii[:, None] + radii), 1))
    stretch = _distances(positions, bonds) / radii[bonds].sum(axis=1)
    found: dict[str, Any] = {
        "bonds": len(bonds),
        "longest bond over sum of radii": round(float(stretch.max()), 2),
        "frames with a broken bond": int((stretch > BROKEN).any(axis=1).sum()),
    }
    for name, pairs in contacts.items():
        found[name] = _range(_distances(positions, np.array(pairs)))
    if contacts:
        centres = positions.reshape(len(frames), -1, PAIR, 3).mean(axis=2)
        found["centres of the pairs"] = _range(
            np.linalg.norm(centres[:, 1] - centres[:, 0], axis=1)
        )
    return found


def _distances(positions: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(positions[:, pairs[:, 0]] - positions[:, pairs[:, 1]], axis=2))


def _range(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 2) for value in (values.min(), values.mean(), values.max())]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("molecule", choices=tuple(CONTACTS))
    parser.add_argument(
        "--folder", type=Path, default=Path("data/larger-molecules"), help="folder of the data"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
