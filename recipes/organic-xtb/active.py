"""A round of active learning: let a model explore, label what it is least sure of.

    python recipes/organic-xtb/active.py FOLDER --round 1 --model my-model [--model other]

Relaxations and Langevin dynamics of training molecules, some with a partner, by the first model;
frames chosen by the model's own uncertainty, or by the disagreement of several. It writes
`FOLDER/active/NN/geometries.xyz` and labels it; `split.py` adds it to the training set. A round that
was stopped goes on where it was.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write
from exploration import Explorer
from make import read_molecules
from molecules import ATOM, DIATOMIC, Molecule, uniform
from rdkit import Chem
from rounds import TIMEOUT, label_round, read_journal, write_json
from selection import select

from app import errors
from app.labelling.isolation import isolated
from app.store.card import ModelCard
from app.store.location import Place, default_store, located, open_store
from app.store.store import ModelStore
from equipot import EquipotError

LARGEST = 60  # atoms


def main() -> None:
    """Explore what is not explored yet, choose, label."""
    options = _options()
    folder = options.folder / "active" / f"{options.round:02d}"
    folder.mkdir(parents=True, exist_ok=True)
    store, models = _opened(options.model, options.store, folder)
    _claim(folder / "recipe.json", options, models)
    if not (folder / "geometries.xyz").exists():
        molecules = listed(
            read_molecules(options.folder / "molecules.jsonl"),
            models,
            options.round,
            options.molecules,
        )
        names = tuple(card.reference for card in models)
        records = explored(
            folder, molecules, Explorer(names, store, options.round), options.processes
        )
        write_selection(folder, records, options.frames, options.least)
    summary = label_round(folder, options.processes)
    print(json.dumps(summary))
    print(f"python recipes/organic-xtb/split.py {options.folder}  # adds them to train.xyz")


def listed(
    molecules: list[Molecule], models: list[ModelCard], round_: int, count: int
) -> list[Molecule]:
    """Training molecules that all models can take, other ones in each round."""
    fitting = [m for m in molecules if m.split == "train" and m.source not in (ATOM, DIATOMIC)]
    fitting = [m for m in fitting if m.size <= LARGEST and all(_takes(c, m) for c in models)]
    return sorted(fitting, key=lambda m: uniform(m.smiles, f"round {round_}"))[:count]


def explored(
    folder: Path, molecules: list[Molecule], explorer: Explorer, processes: int
) -> list[dict[str, Any]]:
    """What came of each molecule, also in an earlier run."""
    journal = folder / "explored.jsonl"
    done = read_journal(journal)
    remaining = [molecule for molecule in molecules if molecule.smiles not in done]
    with journal.open("a") as file:
        for result in isolated(explorer, remaining, processes, TIMEOUT):
            record = {
                "molecule": result.item.smiles,
                "frames": result.value or [],
                "failure": result.failure,
            }
            done[result.item.smiles] = record
            file.write(json.dumps(record) + "\n")
            file.flush()
    return [done[molecule.smiles] for molecule in molecules]


def write_selection(folder: Path, records: list[dict[str, Any]], wanted: int, least: float) -> None:
    """Write `geometries.xyz`, and what became of all into `selection.json`."""
    frames = [frame for record in records for frame in record["frames"]]
    chosen = select(frames, wanted, least)
    failures = [record["failure"] for record in records if record["failure"]]
    summary = {
        "molecules": len(records),
        "failed": len(failures),
        "failures": sorted(set(failures))[:20],
        "explored frames": len(frames),
        "chosen frames": len(chosen),
        "uncertainty of the chosen, eV/Å": [
            round(frame["uncertainty"], 4) for frame in (chosen[:1] + chosen[-1:])
        ],
    }
    write_json(folder / "selection.json", summary)
    print(json.dumps(summary, indent=2))
    if not chosen:
        raise SystemExit(
            f"no frame is as uncertain as {least:g} eV/Å, see {folder / 'selection.json'}; "
            "lower --least, or explore more molecules"
        )
    write(folder / "geometries.tmp", [_atoms(frame) for frame in chosen], format="extxyz")
    os.replace(folder / "geometries.tmp", folder / "geometries.xyz")


def _atoms(frame: dict[str, Any]) -> Atoms:
    info = {**frame["info"], "uncertainty": round(frame["uncertainty"], 4)}
    return Atoms(frame["numbers"], frame["positions"], info=info)


def _takes(card: ModelCard, molecule: Molecule) -> bool:
    """Whether a model takes a molecule, with its partner, too."""
    texts = [molecule.smiles, *[molecule.partner] * bool(molecule.partner)]
    chemicals = [Chem.MolFromSmiles(text) for text in texts]
    elements = {atom.GetSymbol() for chemical in chemicals for atom in chemical.GetAtoms()}
    charged = any(Chem.GetFormalCharge(chemical) for chemical in chemicals)
    return elements | {"H"} <= set(card.elements) and (card.takes_charge or not charged)


def _opened(models: list[str], store: Place | None, folder: Path) -> tuple[Place, list[ModelCard]]:
    """A store and the models in it; of a training run's folder, its certified export."""
    runs = [model for model in models if Path(model).is_dir()]
    if runs and len(runs) < len(models):
        raise SystemExit("--model: folders of runs and names of models cannot be mixed")
    own = folder / "store"
    if runs:
        models = [_exported(Path(run), f"model-{number}", own) for number, run in enumerate(runs)]
    place = own if runs else (store or default_store())
    return place, [open_store(place).load(model).card for model in models]


def _exported(run: Path, name: str, place: Path) -> str:
    """Export a run into a store of the round's own, where it is not yet."""
    from app.training.export.publish import About, export
    from app.training.runs.trained import TrainedRun

    store = ModelStore(place)
    if not (place / name).exists():
        export(TrainedRun(run), store, name, About(description=f"for exploration, from {run}"))
    return name


def _claim(path: Path, options: argparse.Namespace, models: list[ModelCard]) -> None:
    """Write down what the round is made of; refuse one that is made of something else."""
    recipe = {
        "models": [card.reference for card in models],
        "molecules": options.molecules,
        "frames": options.frames,
        "least uncertainty, eV/Å": options.least,
    }
    if path.exists() and json.loads(path.read_text()) != recipe:
        raise SystemExit(f"{path} says that this round was made otherwise: choose another --round")
    write_json(path, recipe)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="--output of make.py")
    add("--round", type=int, required=True, help="number of the round, from 1")
    add(
        "--model",
        action="append",
        required=True,
        metavar="NAME",
        help="of the store, or folder of a training run; again for another model to compare with",
    )
    add(
        "--store",
        type=located,
        help="folder or URL of the models (default: as for equipot predict)",
    )
    add("--molecules", type=int, default=2000, help="to explore (default: %(default)s)")
    add("--frames", type=int, default=5000, help="to label, at most (default: %(default)s)")
    add(
        "--least",
        type=float,
        default=0.1,
        help="eV/Å; frames that are more certain are not labelled (default: %(default)s)",
    )
    add("--processes", type=int, default=os.cpu_count() or 1, help="worker processes")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except (EquipotError, errors.EquipotError) as error:
        raise SystemExit(str(error)) from error
