"""Gather labelled frames into train.xyz, validation.xyz and test.xyz, and count them.

It reads whatever is labelled so far, whole frames only, and changes nothing of a run that goes on:

    python recipes/organic-xtb/split.py FOLDER [--output OTHER] [--largest-force 40]
"""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.io.extxyz import key_val_str_to_dict
from statistics_of import Statistics

LARGEST_FORCE = 100.0  # eV/Å, on any atom of a frame that is kept
SPLITS = ("train", "validation", "test")
COLUMNS = "species:S:1:pos:R:3:forces:R:3"


@dataclass(frozen=True)
class Labelled:
    """A frame of a label file.

    Attributes:
        text: as it stands in the file.
        info: what its comment line says.
        species: (N,) symbols.
        forces: (N, 3) | eV/Å.
    """

    text: bytes
    info: dict[str, Any]
    species: list[str]
    forces: np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    """Split from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="--output of make.py")
    parser.add_argument("--output", type=Path, help="of the files (default: the folder itself)")
    parser.add_argument(
        "--largest-force",
        type=float,
        default=LARGEST_FORCE,
        help=f"eV/Å on any atom of a frame that is kept (default: {LARGEST_FORCE:g})",
    )
    options = parser.parse_args()
    if not options.largest_force > 0:
        parser.error("--largest-force must be positive")
    print(json.dumps(split(options.folder, options.output, options.largest_force), indent=2))


def split(
    folder: Path, output: Path | None = None, largest_force: float = LARGEST_FORCE
) -> dict[str, Any]:
    """Write the three files, `dropped.jsonl` and `splits.json`; returns what is in the last one.

    Args:
        folder: of `make.py`, with `rounds/*/labelled.xyz` and, from active learning,
            `active/*/labelled.xyz`.
        output: where the files go, the folder itself unless given.
        largest_force: eV/Å; a frame with a larger one on any atom is left out.
    """
    output = output or folder
    output.mkdir(parents=True, exist_ok=True)
    counts = {name: Statistics() for name in SPLITS}
    dropped = 0
    names = [*(f"{name}.xyz" for name in SPLITS), "dropped.jsonl"]
    with ExitStack() as stack:
        *files, log = (stack.enter_context((output / f"{name}.tmp").open("wb")) for name in names)
        for frame in _all_frames(folder):
            largest = float(np.linalg.norm(frame.forces, axis=1).max())
            if largest > largest_force:
                dropped += 1
                log.write(_dropped(frame, largest))
                continue
            index = SPLITS.index(frame.info["split"])
            files[index].write(frame.text)
            counts[SPLITS[index]].add(frame)
    for name in names:
        os.replace(output / f"{name}.tmp", output / name)
    failed = sum(path.read_text().count("\n") for path in _files(folder, ".failures.jsonl"))
    summary: dict[str, Any] = {
        name: count.summary() for name, count in counts.items() if count.frames
    }
    summary |= {"dropped frames": dropped, "failed labels": failed}
    (output / "splits.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def read_frames(path: Path) -> Iterator[Labelled]:
    """The whole frames of a label file; what a running process has not finished is left."""
    with path.open("rb") as file:
        while (first := file.readline()).endswith(b"\n"):
            lines = [file.readline() for _ in range(int(first) + 1)]
            if not lines[-1].endswith(b"\n"):
                return
            info = key_val_str_to_dict(lines[0].decode().strip())
            if info["Properties"] != COLUMNS:
                raise SystemExit(f"{path}: columns are {info['Properties']}, expected {COLUMNS}")
            words = [line.split() for line in lines[1:]]
            forces = np.array([row[4:7] for row in words], dtype=float)
            species = [row[0].decode() for row in words]
            yield Labelled(first + b"".join(lines), info, species, forces)


def _all_frames(folder: Path) -> Iterator[Labelled]:
    for path in _files(folder):
        yield from read_frames(path)


def _files(folder: Path, suffix: str = "") -> list[Path]:
    """Label files of all rounds in their order, those of active learning last."""
    return [
        path
        for kind in ("rounds", "active")
        for path in sorted(folder.glob(f"{kind}/*/labelled.xyz{suffix}"))
    ]


def _dropped(frame: Labelled, largest: float) -> bytes:
    named = {key: frame.info[key] for key in ("molecule", "kind", "charge")}
    record = {**named, "charge": int(named["charge"]), "largest force": round(largest, 1)}
    return json.dumps(record).encode() + b"\n"


if __name__ == "__main__":
    main()
