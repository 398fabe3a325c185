"""Labelled frames: structures with reference energies, forces and, where there is one, stress."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike

from app.errors import InvalidData, InvalidStructure
from app.structure import Floats, Structure
from app.training.config import Data, Share, Source, Split, Units
from app.training.units import ENERGY, LENGTH, STRESS

LARGEST_STRESS = 10.0
"""eV/Å³ (1600 GPa); a larger one is in another unit, not a material."""
VOIGT = ((0, 5, 4), (5, 1, 3), (4, 3, 2))


Geometry = tuple[ArrayLike, Floats, Floats, ArrayLike]
"""Numbers (N,), positions (N, 3), cell (3, 3) and pbc (3,)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What a file says about a frame, in the file's units and shapes; None where it says nothing."""

    energy: object = None
    forces: object = None
    stress: object = None


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A structure with its labels.

    Attributes:
        structure: the atoms.
        energy: eV, total.
        forces: (N, 3), eV/Å.
        stress: (3, 3), eV/Å³, positive under tension; None where the structure is not bulk or has no label.
        file: the file that it comes from, as the config names it.
        index: its number in that file, from 0.
        info: the other values of its comment line.
    """

    structure: Structure
    energy: float
    forces: Floats
    stress: Floats | None
    file: str
    index: int
    info: dict[str, object] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """File and number, for messages."""
        return f"{self.file}, frame {self.index}"


@dataclass(frozen=True, slots=True)
class Frames:
    """The three sets of a run."""

    train: list[LabelledFrame]
    validation: list[LabelledFrame]
    test: list[LabelledFrame]

    def elements(self) -> tuple[str, ...]:
        """Symbols of all elements of the training frames, by atomic number."""
        present = sorted({int(z) for frame in self.train for z in set(frame.structure.numbers.tolist())})
        return tuple(chemical_symbols[z] for z in present)


def load_frames(config: Data, find: "Finder") -> Frames:
    """Read all sources, set frames aside, and check the elements.

    Args:
        config: the config's section `data`.
        find: from a path of the config to the file.

    Raises:
        InvalidData: naming file and frame; or an empty set.
    """
    train, validation, test = (load_sources(s, find) for s in (config.train, config.validation, config.test))
    shares = (0 if config.validation else config.split.validation, 0 if config.test else config.split.test)
    kept, held_validation, held_test = split(train, config.split, *shares)
    frames = Frames(kept, validation or held_validation, test or held_test)
    for name, part in (("train", frames.train), ("validation", frames.validation)):
        if not part:
            raise InvalidData(f"the {name} set is empty: {len(train)} frames were read and split by {config.split}")
    check_elements(frames, config.elements or frames.elements(), fixed=config.elements is not None)
    return frames


def load_sources(sources: Sequence[Source], find: "Finder") -> list[LabelledFrame]:
    """The frames of some files, in order.

    Raises:
        InvalidData: a file without frames, or a frame that cannot be trained on.
    """
    from app.training.readers import read

    frames: list[LabelledFrame] = []
    for source in sources:
        found = read(source, find(source.path))
        if not found:
            raise InvalidData(f"{source.path}: no frames in {source.index}")
        frames += found
    return frames


class Finder:
    """From paths as a config writes them to files: absolute, below the data root, or beside the config."""

    def __init__(self, beside: Path, root: Path | None = None) -> None:
        self.folders = [folder for folder in (root, beside) if folder is not None]

    def __call__(self, path: str) -> Path:
        """The file.

        Raises:
            InvalidData: not there; the message names the places that were looked at.
        """
        places = [folder / path for folder in self.folders]
        for place in places:
            if place.is_file():
                return place
        raise InvalidData(f"no data file {path}; looked for {' and '.join(map(str, places))} (see --data-root)")


def split(
    frames: list[LabelledFrame], how: Split, validation: Share, test: Share
) -> tuple[list[LabelledFrame], list[LabelledFrame], list[LabelledFrame]]:
    """Frames that stay, frames for validation, frames for the test; the same for the same seed.

    With `how.by`, frames that share the value of that info key stay together, and groups are added to a set
    until it has as many frames as asked for.

    Raises:
        InvalidData: a frame without that key, or fewer frames than the two sets need.
    """
    if not validation and not test:
        return frames, [], []
    groups = _groups(frames, how.by)
    np.random.default_rng(how.seed).shuffle(groups)
    wanted = [round(s * len(frames)) if isinstance(s, float) else s for s in (validation, test)]
    if sum(wanted) >= len(frames):
        raise InvalidData(
            f"split: {wanted[0]} frames for validation and {wanted[1]} for the test of {len(frames)} leave none"
        )
    taken: list[list[int]] = [[], []]
    for part, count in zip(taken, wanted, strict=True):
        while len(part) < count and groups:
            part += groups.pop()
    rest = [index for group in groups for index in group]
    kept, for_validation, for_test = ([frames[i] for i in sorted(part)] for part in (rest, *taken))
    return kept, for_validation, for_test


def _groups(frames: list[LabelledFrame], by: str | None) -> list[list[int]]:
    if by is None:
        return [[index] for index in range(len(frames))]
    groups: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        if by not in frame.info:
            raise InvalidData(f"{frame.origin}: no '{by}' to split by; it has: {', '.join(frame.info) or 'nothing'}")
        groups.setdefault(str(frame.info[by]), []).append(index)
    return list(groups.values())


def check_elements(frames: Frames, elements: Sequence[str], fixed: bool) -> None:
    """Make sure that every frame consists of known elements.

    Raises:
        InvalidData: naming the first frame that does not.
    """
    known = np.array([chemical_symbols.index(symbol) for symbol in elements])
    of = "data.elements" if fixed else "the training frames"
    for frame in (*frames.train, *frames.validation, *frames.test):
        strange = np.setdiff1d(frame.structure.numbers, known)
        if strange.size:
            raise InvalidData(
                f"{frame.origin}: element {chemical_symbols[strange[0]]} is not among those of {of}: "
                f"{', '.join(elements)}"
            )


def labelled(
    geometry: Geometry, labels: Labels, unit: Units, where: tuple[str, int], info: dict[str, object]
) -> LabelledFrame:
    """One checked frame, in eV and Å.

    Args:
        geometry: lengths in the file's unit.
        labels: in the file's units.
        unit: those units.
        where: file and number of the frame.
        info: what else the file says about it.

    Raises:
        InvalidData: naming file, frame and label.
    """
    origin = f"{where[0]}, frame {where[1]}"
    _check_stated_units(info, unit, origin)
    numbers, positions, cell, pbc = geometry
    length = LENGTH[unit.length]
    try:
        structure = Structure(np.asarray(numbers), length * positions, length * cell, np.asarray(pbc, dtype=bool))
    except InvalidStructure as error:
        raise InvalidData(f"{origin}: {error}") from error
    energy = _label(labels.energy, "energy", (), origin) * ENERGY[unit.energy]
    forces = _label(labels.forces, "forces", (len(structure), 3), origin) * unit.force_factor
    stress = None
    if labels.stress is not None and structure.is_bulk:
        stress = _stress(labels.stress, unit, origin)
    return LabelledFrame(structure, float(energy), forces, stress, *where, info=info)


def _label(value: object, name: str, shape: tuple[int, ...], origin: str) -> Floats:
    if value is None:
        raise InvalidData(f"{origin}: no {name}; each frame needs an energy and forces")
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidData(f"{origin}: {name} is {value!r}, which is no number") from None
    if array.shape != shape and array.size == 1 and shape == ():
        array = array.reshape(())
    if array.shape != shape:
        raise InvalidData(f"{origin}: {name} has shape {array.shape}; expected {shape}")
    if not np.isfinite(array).all():
        raise InvalidData(f"{origin}: {name} holds {array[~np.isfinite(array)].flat[0]}")
    return array


def _stress(value: object, unit: Units, origin: str) -> Floats:
    array = np.asarray(value)
    if array.shape == (6,):
        full = _label(array, "stress", (6,), origin)[np.array(VOIGT)]
    else:
        full = _label(array.reshape(3, 3) if array.shape == (9,) else array, "stress", (3, 3), origin)
    full = full * STRESS[unit.stress]
    if np.abs(full).max() > LARGEST_STRESS:
        raise InvalidData(
            f"{origin}: a stress of {np.abs(full).max():.3g} eV/Å³; is it in another unit than {unit.stress}?"
        )
    symmetric: Floats = 0.5 * (full + full.T)
    return symmetric


STATED = {"energy": "energy", "forces": "force", "force": "force", "stress": "stress", "length": "length"}


def _check_stated_units(info: dict[str, object], unit: Units, origin: str) -> None:
    from app.training.units import TABLES

    expected = {
        "energy": ENERGY[unit.energy],
        "length": LENGTH[unit.length],
        "force": unit.force_factor,
        "stress": STRESS[unit.stress],
    }
    for prefix, quantity in STATED.items():
        for key in (f"{prefix}_unit", f"{prefix}_units"):
            if key not in info:
                continue
            stated = TABLES[quantity].get(str(info[key]))
            if stated is None:
                raise InvalidData(f"{origin}: {key} is '{info[key]}', which is no unit of {quantity} known here")
            if not np.isclose(stated, expected[quantity], rtol=1e-6):
                raise InvalidData(f"{origin}: {key} is '{info[key]}', but the config reads {quantity} in another unit")
