"""One round: sample some molecules, label what came of it. Each step goes on where it stopped."""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write
from exclusion import Exclusion
from geometries import Frame, Sampler
from molecules import Molecule
from reference import CALCULATOR, OPTIONS

from app.labelling.isolation import isolated
from app.labelling.label import Reference, label

TIMEOUT = 240.0  # s, for the geometries of a molecule, and for a label


def run_round(folder: Path, molecules: list[Molecule], excluded: Exclusion, processes: int) -> None:
    """Sample and label, if that is not done yet.

    `round.json` says how many frames have labels, and which time the steps of this run took, the
    wall's and the workers' own on processors.
    """
    if (folder / "round.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    times = [_clocks()]
    if not (folder / "geometries.xyz").exists():
        sample(folder, molecules, excluded, processes)
    times.append(_clocks())
    summary: dict[str, Any] = {"molecules": len(molecules), **label_round(folder, processes)}
    times.append(_clocks())
    for name, (before, after) in zip(("sampling", "labels"), pairwise(times), strict=True):
        summary[f"{name}, s"] = {key: round(after[key] - before[key], 1) for key in after}
    write_json(folder / "round.json", summary)


def sample(folder: Path, molecules: list[Molecule], excluded: Exclusion, processes: int) -> None:
    """Write `geometries.xyz`, and what could not be sampled into `skipped.jsonl`."""
    journal = folder / "samples.jsonl"
    done = read_journal(journal)
    remaining = [molecule for molecule in molecules if molecule.smiles not in done]
    with journal.open("a") as file:
        for result in isolated(partial(sampler, excluded), remaining, processes, TIMEOUT):
            record = {"molecule": result.item.smiles, "frames": [], "failures": [result.failure]}
            record |= result.value or {}
            done[result.item.smiles] = record
            file.write(json.dumps(record) + "\n")
            file.flush()
    frames = [atoms for m in molecules for atoms in frames_of(done[m.smiles])]
    write(folder / "geometries.tmp", frames, format="extxyz")
    _write_skipped(folder / "skipped.jsonl", done)
    os.replace(folder / "geometries.tmp", folder / "geometries.xyz")
    journal.unlink()


def label_round(folder: Path, processes: int) -> dict[str, int]:
    """Label `geometries.xyz` into `labelled.xyz`, as `equipot label` does."""
    reference = Reference(CALCULATOR, OPTIONS)
    summary = label(
        [folder / "geometries.xyz"], folder / "labelled.xyz", reference, processes, TIMEOUT
    )
    return asdict(summary)


def read_journal(path: Path) -> dict[str, dict[str, Any]]:
    """Records of an earlier run by SMILES; a line that a killed run left half-written is cut."""
    if not path.exists():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    return {record["molecule"]: record for record in map(json.loads, whole.splitlines())}


def frames_of(record: dict[str, Any]) -> Iterator[Atoms]:
    """The geometries of a molecule."""
    for frame in record["frames"]:
        yield Atoms(frame["numbers"], frame["positions"], info=frame["info"])


def sampler(excluded: Exclusion) -> Callable[[Molecule], dict[str, Any]]:
    """What a worker does with a molecule."""
    return partial(_sampled, excluded)


def write_json(path: Path, content: Any) -> None:
    """Write a file that is there as a whole or not at all."""
    written = path.with_name(path.name + ".tmp")
    written.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(written, path)


def _clocks() -> dict[str, float]:
    """Seconds of the wall's clock, and those that the workers that have ended spent on processors."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": time.monotonic(), "processor": spent.ru_utime + spent.ru_stime}


def _sampled(excluded: Exclusion, molecule: Molecule) -> dict[str, Any]:
    work = Sampler(molecule, excluded)
    frames = [_frame(frame, molecule) for frame in work.frames()]
    return {"frames": frames, "failures": work.failures}


def _frame(frame: Frame, molecule: Molecule) -> dict[str, Any]:
    atoms = frame.atoms(molecule)
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.round(6).tolist(),
        "info": atoms.info,
    }


def _write_skipped(path: Path, records: dict[str, dict[str, Any]]) -> None:
    lines = [
        {"molecule": name, "reason": failure}
        for name, record in records.items()
        for failure in record["failures"]
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
