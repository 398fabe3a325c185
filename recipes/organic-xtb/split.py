"""Split labelled frames by molecule into train.xyz, validation.xyz and test.xyz, and count them."""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import iread, write
from molecules import ASPIRIN, Molecule

VALIDATION, TEST = 0.03, 0.04  # of the molecules
LARGEST_FORCE = 30.0  # eV/Å, of any atom of a frame that is kept
SPLITS = ("train", "validation", "test")


def main() -> None:
    """Write the three files and `splits.json`, the counts and force statistics of each."""
    options = _options()
    frames: dict[str, list[Atoms]] = defaultdict(list)
    dropped = 0
    for atoms in iread(str(options.labelled), index=":"):
        if np.linalg.norm(atoms.get_forces(), axis=1).max() > LARGEST_FORCE:
            dropped += 1
        else:
            frames[split_of(Molecule(atoms.info["molecule"], atoms.info["source"]))].append(atoms)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        write(options.output / f"{name}.xyz", frames[name], format="extxyz")
    counts = {name: statistics(frames[name]) for name in SPLITS if frames[name]}
    text = json.dumps({**counts, "dropped frames": dropped}, indent=2)
    (options.output / "splits.json").write_text(text + "\n")
    print(text)


def split_of(molecule: Molecule) -> str:
    """The split of a molecule: by its share, so that it never depends on what else was sampled.

    Aspirin is always a test molecule; the tiny molecules are always training molecules.
    """
    if molecule.smiles == ASPIRIN:
        return "test"
    if molecule.source == "tiny" or molecule.share >= TEST + VALIDATION:
        return "train"
    return "test" if molecule.share < TEST else "validation"


def statistics(frames: list[Atoms]) -> dict[str, Any]:
    """Counts of a split, and its force components in eV/Å."""
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    sizes = [len(atoms) for atoms in frames]
    return {
        "molecules": len({atoms.info["molecule"] for atoms in frames}),
        "frames": len(frames),
        "atoms": sum(sizes),
        "atoms per frame": [min(sizes), round(float(np.mean(sizes)), 1), max(sizes)],
        "force rms": round(float(np.sqrt((forces**2).mean())), 3),
        "force 99%": round(float(np.quantile(np.abs(forces), 0.99)), 2),
        "force max": round(float(np.abs(forces).max()), 2),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    folder = Path("data/organic-xtb")
    parser.add_argument("labelled", type=Path, nargs="?", default=folder / "labelled.xyz")
    parser.add_argument("--output", type=Path, default=folder, help="folder of the three files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
