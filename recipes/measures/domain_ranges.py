"""How often what is out of domain is told, and how often what is in domain: from training data alone,
without a model.

    python -m recipes.measures.domain_ranges recipes/3bpa/allegro.yaml recipes/rmd17/*.yaml --data-root FOLDER

Each config's training frames give the range of a card, and its test frames, which were held out, are
judged as they are and after each change. With `--joined` they are judged by the range of all configs'
training frames together. What a prediction could add is left out, and so are sizes, by which a data
set of one molecule knows all others.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from ase.units import Bohr

from app.atoms.decomposition import Piece
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.backends.domain import Domain, Known
from app.errors import AtomsTooClose
from app.store.card import ModelCard
from app.store.training_range import TrainingRange
from app.training.data.dataset import Dataset
from app.training.data.load import Finder, Frames, load_frames
from app.training.data.ranges import joined, training_range
from app.training.runs.config_file import load_config

Rng = np.random.Generator
Change = Callable[[Structure, Rng], Structure]


def same(structure: Structure, _: Rng) -> Structure:
    return structure


def scaled(factor: float) -> Change:
    """All distances times a factor."""
    return lambda structure, _: replace(structure, positions=structure.positions * factor)


def without(structure: Structure, atoms: np.ndarray) -> Structure:
    """The structure less some atoms."""
    kept = np.delete(np.arange(len(structure)), atoms)
    return replace(structure, numbers=structure.numbers[kept], positions=structure.positions[kept])


def hydrogens(structure: Structure) -> np.ndarray:
    return np.flatnonzero(structure.numbers == 1)


def no_hydrogens(structure: Structure, _: Rng) -> Structure:
    return without(structure, hydrogens(structure))


def one_hydrogen_less(structure: Structure, rng: Rng) -> Structure:
    return without(structure, rng.choice(hydrogens(structure), 1))


def bond_of(structure: Structure, atom: int) -> tuple[np.ndarray, float]:
    """The direction from an atom's nearest neighbour to it, and their distance."""
    vectors = structure.positions[atom] - structure.positions
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[atom] = np.inf
    nearest = int(lengths.argmin())
    return vectors[nearest] / lengths[nearest], float(lengths[nearest])


def pulled(of: Callable[[Structure], np.ndarray], by: float) -> Change:
    """An atom moved away from its nearest neighbour, by so many Å."""

    def change(structure: Structure, rng: Rng) -> Structure:
        atom = int(rng.choice(of(structure)))
        positions = structure.positions.copy()
        positions[atom] += by * bond_of(structure, atom)[0]
        return replace(structure, positions=positions)

    return change


def abstracted(structure: Structure, rng: Rng) -> Structure:
    """A hydrogen halfway, 1.25 Å, between its atom and the oxygen of a hydroxyl."""
    atom = int(rng.choice(hydrogens(structure)))
    along, length = bond_of(structure, atom)
    place = structure.positions[atom] + (1.25 - length) * along
    across = np.cross(along, rng.normal(size=3))
    oxygen = place + 1.25 * along
    hydroxyl = [oxygen, oxygen + 0.97 * across / np.linalg.norm(across)]
    positions = structure.positions.copy()
    positions[atom] = place
    return replace(
        structure,
        numbers=np.append(structure.numbers, [8, 1]),
        positions=np.concatenate([positions, hydroxyl]),
    )


def exchanged(structure: Structure, rng: Rng) -> Structure:
    """A heavy atom that becomes another of the structure's heavy elements."""
    numbers = structure.numbers.copy()
    atom = int(rng.choice(np.flatnonzero(numbers != 1)))
    others = sorted(set(numbers.tolist()) - {1, int(numbers[atom])})
    numbers[atom] = rng.choice(others) if others else atomic_numbers["O"]
    return replace(structure, numbers=numbers)


def crystal(structure: Structure, _: Rng) -> Structure:
    """In a periodic box, 5 Å wider than the structure along each axis."""
    cell = np.diag(np.ptp(structure.positions, axis=0) + 5.0)
    return replace(structure, cell=cell, pbc=np.ones(3, dtype=bool))


CHANGES: Mapping[str, Change] = {
    "nothing": same,
    "lengths x 0.9": scaled(0.9),
    "lengths x 1.15": scaled(1.15),
    "bohr for Å": scaled(1 / Bohr),
    "hydrogen pulled by 0.5 Å": pulled(hydrogens, 0.5),
    "heavy atom pulled by 0.5 Å": pulled(lambda s: np.flatnonzero(s.numbers != 1), 0.5),
    "hydrogen half abstracted": abstracted,
    "no hydrogens": no_hydrogens,
    "one hydrogen less": one_hydrogen_less,
    "another element": exchanged,
    "periodic": crystal,
}


def is_told(card: ModelCard, structure: Structure) -> bool:
    """Whether a structure is out of domain, or refused since its atoms are too close."""
    count = len(structure)
    domain = Domain(Known(card), structure)
    try:
        domain.look(Piece.whole(build_graph(structure, card.cutoff)))
    except AtomsTooClose:
        return True
    return bool(domain.doubts(StructurePrediction(0.0, np.zeros(count))))


def card_of(trained_on: TrainingRange, frames: Frames, cutoff: float) -> ModelCard:
    """A card with a range that bears any size."""
    return ModelCard(
        name="range",
        version=1,
        description="a range without a model",
        architecture="none",
        backend="onnx",
        elements=frames.elements(),
        atomic_energies={},
        cutoff=cutoff,
        receptive_field=cutoff,
        dtype="float64",
        trained_on=trained_on.model_copy(update={"most_atoms": 10**6}),
    )


def read(path: Path, root: Path | None) -> tuple[Frames, float]:
    """The frames of a config, and the cutoff in Å."""
    config = load_config(path)
    cutoff = config.model.cutoff
    return load_frames(config.data, Finder(path.parent, root), cutoff, "float32"), cutoff


def shares(card: ModelCard, test: Dataset, most: int) -> dict[str, float]:
    """% of test frames, or of at most so many that were changed, that are told, by the change."""
    told = {}
    for name, change in CHANGES.items():
        rng = np.random.default_rng(0)
        judged = [
            change(frame.structure, rng) for frame in (test if change is same else test[:most])
        ]
        told[name] = 100 * float(np.mean([is_told(card, structure) for structure in judged]))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--most", type=int, default=300, help="changed frames (%(default)s)")
    parser.add_argument("--joined", action="store_true", help="one range of all configs")
    options = parser.parse_args()
    sets = {
        f"{path.parent.name}/{path.stem}": read(path, options.data_root) for path in options.configs
    }
    ranges = {name: training_range(frames.train) for name, (frames, _) in sets.items()}
    if options.joined:
        ranges = dict.fromkeys(ranges, reduce(joined, ranges.values()))
    found = {
        name: shares(card_of(ranges[name], frames, cutoff), frames.test, options.most)
        for name, (frames, cutoff) in sets.items()
    }
    print("| % told of | " + " | ".join(found) + " |")
    print("|---|" + "---:|" * len(found))
    for change in CHANGES:
        print(
            f"| {change} | " + " | ".join(f"{told[change]:.1f}" for told in found.values()) + " |"
        )


if __name__ == "__main__":
    main()
