"""The data of a run: files found and read, frames set aside, elements and labels checked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols

from app.errors import InvalidData
from app.training.data import cache
from app.training.data.arrays import Memory, Sink, chunks, flatten
from app.training.data.config import Data, Source
from app.training.data.dataset import Dataset, SourceInfo
from app.training.data.frames import LabelledFrame
from app.training.data.readers import read
from app.training.data.split import split


@dataclass(frozen=True, slots=True)
class Frames:
    """The three sets of a run."""

    train: Dataset
    validation: Dataset
    test: Dataset

    def elements(self) -> tuple[str, ...]:
        """Symbols of all elements of the training frames, by atomic number."""
        return tuple(self.train.element_counts())


class Finder:
    """From paths as a config writes them to files: absolute, below the data root, or beside the
    config.

    Args:
        beside: the config's folder.
        root: the data root.
        cache: folder in which neighbour lists are kept for later runs; None keeps the data in
            memory.
    """

    def __init__(self, beside: Path, root: Path | None = None, cache: Path | None = None) -> None:
        self.folders = [folder for folder in (root, beside) if folder is not None]
        self.cache = cache

    def __call__(self, path: str) -> Path:
        """The file.

        Raises:
            InvalidData: not there; the message names the places that were looked at.
        """
        candidates = list(dict.fromkeys(folder / path for folder in self.folders))
        for candidate in candidates:
            if candidate.exists():
                return candidate
        raise InvalidData(
            f"no data file {path}; looked for {' and '.join(map(str, candidates))} (see --data-root)"
        )

    def all(self, path: str) -> list[Path]:
        """The file of this name or, where there is none, those that match its `*`, `?` and `[]`,
        sorted.

        Raises:
            InvalidData: there is none.
        """
        for folder in self.folders:
            names = [] if (folder / path).exists() else sorted(glob(path, root_dir=folder))
            if names:
                return [folder / name for name in names]
        return [self(path)]


class Located(NamedTuple):
    """A source that is one file or folder, and where it lies."""

    source: Source
    path: Path
    leave_out: Path | None

    def frames(self) -> Iterator[LabelledFrame]:
        """Its frames, one after the other."""
        return read(self.source, self.path, self.leave_out)


def locate(sources: Sequence[Source], find: Finder) -> list[Located]:
    """The files of some sources, in order.

    Raises:
        InvalidData: a file is not there.
    """
    located = []
    for source in sources:
        leave_out = None if source.leave_out is None else find(source.leave_out)
        depth = len(Path(source.path).parts)
        for path in find.all(source.path):
            name = str(Path(*path.parts[-depth:])) if depth else source.path
            located.append(Located(source.model_copy(update={"path": name}), path, leave_out))
    return located


def load_frames(
    config: Data, find: Finder, cutoff: float, dtype: str, known: Sequence[str] = ()
) -> Frames:
    """Read all sources, find all neighbours, set frames aside, and check the elements.

    Args:
        config: the config's section `data`.
        find: from a path of the config to the file.
        cutoff: Å.
        dtype: working precision, `float32` or `float64`.
        known: elements that the model knows already, beside those of the training frames.

    Raises:
        InvalidData: naming file and frame; or an empty set.
    """
    train = load_dataset(config.train, find, cutoff, dtype)
    shares = (
        0 if config.validation else config.split.validation,
        0 if config.test else config.split.test,
    )
    kept, validation, test = split(train, config.split, *shares)
    if config.validation:
        validation = load_dataset(config.validation, find, cutoff, dtype)
    if config.test:
        test = load_dataset(config.test, find, cutoff, dtype)
    frames = Frames(kept, validation, test)
    for name, part in (("train", frames.train), ("validation", frames.validation)):
        if not part:
            raise InvalidData(
                f"the {name} set is empty: {len(train)} frames were read and split by {config.split}"
            )
    learnt = "the training frames and the start model" if known else "the training frames"
    allowed = config.elements or tuple(dict.fromkeys((*known, *frames.elements())))
    for part in (frames.train, frames.validation, frames.test):
        if part.element_counts().keys() - set(allowed):
            check_elements(part, allowed, "data.elements" if config.elements else learnt)
    return frames


def check_charges(frames: Frames, takes_charge: bool) -> None:
    """Make sure that a model takes the charges that there are.

    Raises:
        InvalidData: naming file and frame.
    """
    if takes_charge:
        return
    for part in (frames.train, frames.validation, frames.test):
        charged = np.flatnonzero(part.charge)
        if charged.size:
            frame = part[int(charged[0])]
            raise InvalidData(
                f"{frame.origin}: charge {frame.structure.charge}, but the model takes none; set "
                "model.takes_charge (architecture allegro), or leave this frame out"
            )


def load_dataset(sources: Sequence[Source], find: Finder, cutoff: float, dtype: str) -> Dataset:
    """The frames of some files with their neighbours, from the cache or into it where there is one.

    Raises:
        InvalidData: a file without frames, or a frame that cannot be trained on.
    """
    located = locate(sources, find)
    infos = [SourceInfo(s.path, s.weight, s.missing_stress) for s, _, _ in located]

    def fill(sink: Sink) -> None:
        for number, part in enumerate(located):
            for chunk in chunks(_some(part)):
                sink.add(flatten(chunk, [number] * len(chunk), cutoff, dtype))

    if find.cache is None:
        memory = Memory()
        fill(memory)
        return Dataset(memory.arrays(), infos)
    files = [
        (s, path.resolve(), leave_out and leave_out.resolve()) for s, path, leave_out in located
    ]
    reading = [s.model_dump(mode="json", exclude={"weight", "missing_stress"}) for s, _, _ in files]
    wanted = [cutoff, dtype, reading, [[str(path), str(leave_out)] for _, path, leave_out in files]]
    stamps = {
        str(path): cache.stamp(path) for _, *paths in files for path in paths if path is not None
    }
    return Dataset(cache.open_or_build(find.cache, wanted, stamps, fill), infos)


def load_sources(sources: Sequence[Source], find: Finder) -> list[LabelledFrame]:
    """The frames of some files, in order, all in memory.

    Raises:
        InvalidData: a file without frames, or a frame that cannot be trained on.
    """
    return [frame for part in locate(sources, find) for frame in _some(part)]


def _some(part: Located) -> Iterator[LabelledFrame]:
    count = 0
    for frame in part.frames():
        count += 1
        yield frame
    if not count:
        raise InvalidData(f"{part.source.path}: no frames in {part.source.index}")


def check_elements(frames: Iterable[LabelledFrame], elements: Sequence[str], of: str) -> None:
    """Make sure that frames consist of known elements.

    Args:
        frames: to be looked at.
        elements: chemical symbols of the known ones.
        of: whose elements these are, for the message.

    Raises:
        InvalidData: naming the first frame that has another.
    """
    known = np.array([chemical_symbols.index(symbol) for symbol in elements])
    for frame in frames:
        strange = np.setdiff1d(frame.structure.numbers, known)
        if strange.size:
            symbol = chemical_symbols[strange[0]]
            raise InvalidData(
                f"{frame.origin}: {symbol} is not among the elements of {of}: {', '.join(elements)}"
            )


def check_stress(frames: Dataset, weight: float) -> None:
    """Make sure that all bulk frames have a stress, but for those of sources with `missing_stress`.

    Raises:
        InvalidData: naming the first frame without one.
    """
    allowed = np.array([source.missing_stress for source in frames.sources])[
        frames.arrays.source[frames.rows]
    ]
    bulk = frames.arrays.pbc[frames.rows].all(axis=1)
    lacking = np.flatnonzero(bulk & ~frames.has_stress & ~allowed)
    if lacking.size:
        raise InvalidData(
            f"{frames[int(lacking[0])].origin}: no stress, but loss.stress is {weight:g} ({lacking.size} such frames); "
            "set missing_stress of the source to learn stresses from the other frames only"
        )
