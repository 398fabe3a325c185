"""Small labelled data sets for the trainer's tests, from the Lennard-Jones backend."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.store.card import ModelCard, PairParameters
from app.training.data.frames import LabelledFrame
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import parse_config
from app.training.runs.folder import to_atoms
from tests.structures import random_crystal, random_molecule

REFERENCES = {"Ne": -3.0, "Ar": -7.0}
CARD = ModelCard(
    name="pairs",
    version=1,
    description="",
    architecture="lennard-jones",
    backend="pair",
    elements=tuple(REFERENCES),
    atomic_energies=REFERENCES,
    cutoff=4.5,
    receptive_field=4.5,
    dtype="float64",
    pair={
        "Ne": PairParameters(epsilon=0.2, sigma=2.0),
        "Ar": PairParameters(epsilon=0.3, sigma=2.4),
    },
)
TINY = {
    "architecture": "allegro",
    "cutoff": 4.5,
    "l_max": 1,
    "num_layers": 1,
    "num_scalars": 16,
    "num_tensors": 4,
    "two_body_mlp": [16],
    "latent_mlp": [16],
    "readout_mlp": [],
}


def label(structure: Structure, index: int = 0, **info: object) -> LabelledFrame:
    """A structure with its Lennard-Jones energy, forces and stress."""
    prediction = PairBackend(CARD)(build_graph(structure, CARD.cutoff))
    stress = prediction.stress[0] if structure.is_bulk else None
    return LabelledFrame(
        structure,
        float(prediction.energy[0]),
        prediction.forces,
        stress,
        "made.xyz",
        index,
        dict(info),
    )


def molecules(
    count: int, sizes: Sequence[int] = (2, 3, 4, 5), seed: int = 0
) -> list[LabelledFrame]:
    """Clusters of several sizes; `molecule` names those of a kind, three of each."""
    return [
        label(
            random_molecule(CARD, sizes[i % len(sizes)], seed=1000 * seed + i),
            i,
            molecule=f"kind {i // 3}",
        )
        for i in range(count)
    ]


def crystals(count: int) -> list[LabelledFrame]:
    """Small bulk cells, with a stress."""
    return [label(random_crystal(CARD, (2, 2, 1), seed=i), i) for i in range(count)]


def write(
    path: Path, frames: Sequence[LabelledFrame], change: Callable[[Any], None] | None = None
) -> Path:
    """Write frames as extXYZ, each after an optional change to its ASE atoms."""
    images = []
    for frame in frames:
        atoms = to_atoms(frame)
        atoms.info.update(frame.info)
        if change is not None:
            change(atoms)
        images.append(atoms)
    ase.io.write(path, images, format="extxyz")
    return path


def drop_forces(atoms: Any) -> None:
    """A change for `write`: energies alone."""
    del atoms.calc.results["forces"]


def tiny_config(**keys: Any) -> TrainConfig:
    """A config of a run that takes a second."""
    optimizer = {"name": "adam", "lr": 0.002} | keys.pop("optimizer", {})
    loss = {"kind": "mse", "forces_per": "component"} | keys.pop("loss", {})
    content = {
        "optimizer": optimizer,
        "loss": loss,
        "data": {"train": "train.xyz", "split": {"validation": 8}},
        "model": TINY,
        "batch_size": 8,
        "epochs": 3,
        "ema": 0.9,
        "threads": 1,
        "device": "cpu",
    }
    return parse_config(content | keys, "test")


def npz_arrays(frames: Sequence[LabelledFrame]) -> dict[str, np.ndarray]:
    """Frames of one composition in the layout of revised MD17, in eV and Å."""
    return {
        "nuclear_charges": frames[0].structure.numbers.astype(np.uint8),
        "coords": np.array([f.structure.positions for f in frames]),
        "energies": np.array([f.energy for f in frames]),
        "forces": np.array([f.forces for f in frames]),
    }
