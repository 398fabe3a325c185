"""The data of a run: files found and read, frames set aside, elements checked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from app.errors import InvalidData
from app.training.data_config import Data, Share, Source, Split
from app.training.frames import LabelledFrame
from app.training.readers import read


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


class Finder:
    """From paths as a config writes them to files: absolute, below the data root, or beside the config."""

    def __init__(self, beside: Path, root: Path | None = None) -> None:
        self.folders = [folder for folder in (root, beside) if folder is not None]

    def __call__(self, path: str) -> Path:
        """The file.

        Raises:
            InvalidData: not there; the message names the places that were looked at.
        """
        places = list(dict.fromkeys(folder / path for folder in self.folders))
        for place in places:
            if place.exists():
                return place
        raise InvalidData(f"no data file {path}; looked for {' and '.join(map(str, places))} (see --data-root)")


def load_frames(config: Data, find: Finder, known: Sequence[str] = ()) -> Frames:
    """Read all sources, set frames aside, and check the elements.

    Args:
        config: the config's section `data`.
        find: from a path of the config to the file.
        known: elements that the model knows already, beside those of the training frames.

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
    everything = (*frames.train, *frames.validation, *frames.test)
    if config.elements is not None:
        check_elements(everything, config.elements, "data.elements")
    else:
        of = "the training frames and the start model" if known else "the training frames"
        check_elements(everything, tuple(dict.fromkeys((*known, *frames.elements()))), of)
    return frames


def load_sources(sources: Sequence[Source], find: Callable[[str], Path]) -> list[LabelledFrame]:
    """The frames of some files, in order.

    Raises:
        InvalidData: a file without frames, or a frame that cannot be trained on.
    """
    frames: list[LabelledFrame] = []
    for source in sources:
        leave_out = None if source.leave_out is None else find(source.leave_out)
        found = read(source, find(source.path), leave_out)
        if not found:
            raise InvalidData(f"{source.path}: no frames in {source.index}")
        frames += found
    return frames


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
    wanted = [_count(share, len(frames)) for share in (validation, test)]
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


def _count(share: Share, total: int) -> int:
    if isinstance(share, float):
        return max(1, round(share * total)) if share else 0
    return share


def _groups(frames: list[LabelledFrame], by: str | None) -> list[list[int]]:
    if by is None:
        return [[index] for index in range(len(frames))]
    groups: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        if by not in frame.info:
            raise InvalidData(f"{frame.origin}: no '{by}' to split by; it has: {', '.join(frame.info) or 'nothing'}")
        groups.setdefault(str(frame.info[by]), []).append(index)
    return list(groups.values())


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
            raise InvalidData(f"{frame.origin}: {symbol} is not among the elements of {of}: {', '.join(elements)}")
