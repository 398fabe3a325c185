"""Make the data: choose molecules, sample and label them in rounds, split what is labelled.

One command, which goes on where it was stopped, and gives the same molecules, geometries and split
again:

    python recipes/organic-xtb/make.py --output FOLDER --exclude FILE.sdf
"""

import argparse
import json
import os
import re
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assignment import assigned
from exclusion import Exclusion
from molecules import ATOM, DIATOMIC, HANDWRITTEN, Molecule, choose
from rounds import run_round, write_json
from split import split

from app.errors import EquipotError

PACKAGES = ("rdkit", "tblite", "chemicals", "datamol", "molsets", "qm9pack", "dimorphite_dl")
ROUND = 400  # molecules


def main() -> None:
    """Do what is not done yet."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    excluded = (
        Exclusion() if options.exclude == "none" else Exclusion.of_file(Path(options.exclude))
    )
    _claim(options.output / "recipe.json", excluded, options.share)
    molecules = listed(options.output / "molecules.jsonl", excluded, options.share)
    write_json(options.output / "molecules.json", counted(molecules))
    for start in range(0, len(molecules), ROUND)[options.rounds]:
        folder = options.output / "rounds" / f"{start // ROUND:03d}"
        run_round(folder, molecules[start : start + ROUND], excluded, options.processes)
        end = min(start + ROUND, len(molecules))
        print(f"{end} of {len(molecules)} molecules sampled and labelled", flush=True)
    print(json.dumps(split(options.output), indent=2))


def listed(path: Path, excluded: Exclusion, share: float) -> list[Molecule]:
    """The molecules in their order, from the file if it is there."""
    if not path.exists():
        chosen = assigned(choose(excluded, share), excluded)
        # a training set of the first rounds has the single atoms that reference energies come from,
        # and the small molecules that nothing larger teaches (N2, CO2, HCN)
        first = (ATOM, DIATOMIC, *HANDWRITTEN)
        chosen.sort(key=lambda molecule: molecule.source not in first)
        written = path.with_name(path.name + ".tmp")
        written.write_text("".join(json.dumps(asdict(molecule)) + "\n" for molecule in chosen))
        os.replace(written, path)
    return read_molecules(path)


def counted(molecules: list[Molecule]) -> dict[str, Any]:
    """Numbers of molecules by source, split, charge and functional group, for `molecules.json`."""
    real = [molecule for molecule in molecules if molecule.source not in (ATOM, DIATOMIC)]
    counts = {
        "sources": Counter(molecule.source for molecule in molecules),
        "splits": Counter(molecule.split for molecule in real),
        "charges": Counter(str(molecule.charge) for molecule in real),
        "groups": Counter(group for molecule in real for group in molecule.groups),
    }
    return {
        "molecules": len(real),
        "atoms": round(sum(molecule.size for molecule in real) / len(real), 1),
        "element graphs": len({molecule.skeleton for molecule in real}),
        "scaffolds": len({molecule.scaffold for molecule in real} - {""}),
        **{name: dict(count.most_common()) for name, count in counts.items()},
    }


def read_molecules(path: Path) -> list[Molecule]:
    """The molecules of `molecules.jsonl`."""
    records = map(json.loads, path.read_text().splitlines())
    return [Molecule(**record | {"groups": tuple(record["groups"])}) for record in records]


def _claim(path: Path, excluded: Exclusion, share: float) -> None:
    """Write down what the folder is made of; refuse one that is made of something else."""
    recipe: dict[str, Any] = {
        "excluded file, sha256": excluded.digest or "none",
        "share": share,
        "packages": {name: version(name) for name in PACKAGES},
    }
    if path.exists() and json.loads(path.read_text()) != recipe:
        raise SystemExit(
            f"{path.parent} was made with another --exclude, --share or packages, see {path}: choose "
            "another --output, or install those versions"
        )
    write_json(path, recipe)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder of the data")
    add(
        "--exclude",
        required=True,
        metavar="FILE.sdf",
        help="molecules that must not be in the data, nor their scaffolds; none to go without",
    )
    add("--share", type=float, default=1.0, help="of the molecules, for a trial (default: all)")
    add("--processes", type=int, default=os.cpu_count() or 1, help="worker processes")
    add(
        "--rounds",
        type=_slice,
        default=slice(None),
        metavar="FROM:TO",
        help=f"only these rounds of {ROUND} molecules, counted from 0, TO left out (default: all)",
    )
    options = parser.parse_args()
    if not 0 < options.share <= 1 or options.processes < 1:
        parser.error("--share must be in (0, 1], --processes positive")
    return options


def _slice(text: str) -> slice:
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM:TO, such as 8:16, 8: or :16")
    return slice(*(int(bound) if bound else None for bound in match.groups()))


if __name__ == "__main__":
    try:
        main()
    except EquipotError as error:
        raise SystemExit(str(error)) from error
