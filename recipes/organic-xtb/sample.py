"""Sample distorted geometries of all molecules of the recipe, for `equipot label` to label.

A run that was stopped goes on where it was: every molecule is a line of `samples.jsonl`, and the
geometries of one depend on nothing but its SMILES.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write
from geometries import sample
from molecules import Molecule, choose

from app.labelling.isolation import Outcome, isolated

TIMEOUT = 600.0  # s, for one molecule


def main() -> None:
    """Sample what is not sampled yet, then write `geometries.xyz` in the order of the molecules."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    molecules = choose(options.small, options.large)
    journal = options.output / "samples.jsonl"
    done = read_journal(journal)
    remaining = [molecule for molecule in molecules if molecule.smiles not in done]
    with journal.open("a") as file:
        for outcome in isolated(sampler, remaining, options.processes, TIMEOUT):
            record = _record(outcome)
            done[record["molecule"]] = record
            file.write(json.dumps(record) + "\n")
            file.flush()
    records = [done[molecule.smiles] for molecule in molecules]
    write(
        options.output / "geometries.xyz",
        [atoms for record in records for atoms in frames_of(record)],
    )
    _report(records)


def read_journal(path: Path) -> dict[str, dict[str, Any]]:
    """Records of an earlier run by SMILES; a line that a killed run left half-written is cut."""
    if not path.exists():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    return {record["molecule"]: record for record in map(json.loads, whole.splitlines())}


def frames_of(record: dict[str, Any]) -> Iterator[Atoms]:
    """The geometries of a molecule; `info` names the molecule, its source table and the kind of
    frame.
    """
    for kind, positions in record.get("frames", ()):
        info = {"molecule": record["molecule"], "source": record["source"], "kind": kind}
        yield Atoms(record["numbers"], positions, info=info)


def sampler() -> Callable[[Molecule], dict[str, Any]]:
    """What a worker does with a molecule."""
    return _sampled


def _sampled(molecule: Molecule) -> dict[str, Any]:
    numbers, frames = sample(molecule)
    return {
        "numbers": numbers,
        "frames": [(kind, positions.round(6).tolist()) for kind, positions in frames],
    }


def _record(outcome: Outcome[Molecule, dict[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {"molecule": outcome.item.smiles, "source": outcome.item.source}
    return record | (outcome.value or {"skipped": outcome.failure})


def _report(records: list[dict[str, Any]]) -> None:
    skipped = Counter(record["skipped"] for record in records if "skipped" in record)
    frames = sum(len(record.get("frames", ())) for record in records)
    print(
        f"{len(records) - skipped.total()} molecules, {frames} frames; {skipped.total()} molecules skipped"
    )
    for reason, count in skipped.most_common():
        print(f"  {count} x {reason}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("data/organic-xtb"), help="folder of the data"
    )
    parser.add_argument("--small", type=int, default=1400, help="molecules from QM9")
    parser.add_argument(
        "--large", type=int, default=1400, help="molecules of 10 to 32 atoms of other tables"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="worker processes"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
