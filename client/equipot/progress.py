"""A bar that says how far something is, in notebooks and on terminals."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from equipot.errors import EquipotError
from equipot.stages import Progress, Stage


class Bar:
    """A bar, or nothing.

    Args:
        shown: of tqdm; None where none is wanted.
    """

    def __init__(self, shown: Any = None) -> None:
        self._shown = shown

    def add(self, count: int = 1) -> None:
        """So many more."""
        if self._shown is not None:
            self._shown.update(count)

    def move(self, to: int, beside: str = "") -> None:
        """So many altogether, and what else is to be said."""
        if self._shown is not None:
            self._shown.set_postfix_str(beside, refresh=False)
            self._shown.update(to - self._shown.n)
            self._shown.refresh()

    def stage(self, stage: Stage) -> None:
        """How far a task is, whose stages have lengths of their own."""
        if self._shown is not None:
            self._shown.set_description(stage.name, refresh=False)
            self._shown.total, self._shown.n = stage.total, stage.done
            self._shown.refresh()


@contextmanager
def bar(wanted: bool, total: int | None = None, unit: str = "structure") -> Iterator[Bar]:
    """A bar for the length of a block.

    Args:
        wanted: whether one is.
        total: of what it counts; None where that is not known.
        unit: what it counts.

    Raises:
        EquipotError: one is wanted, and tqdm is not installed.
        TypeError: it is said in other words than True and False.
    """
    if not isinstance(wanted, bool):
        raise TypeError(
            f"progress: {wanted!r}; True shows a bar, False none, and a function is told the stages "
            "of a task that is asked for at once (those of a job are in jobs.events)"
        )
    if not wanted:
        yield Bar()
        return
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        raise EquipotError(
            "progress: tqdm is not installed; pip install 'equipot-client[progress]'"
        ) from None
    with tqdm(total=total, unit=unit, unit_scale=False) as shown:
        yield Bar(shown)


@contextmanager
def told(progress: Progress) -> Iterator[Callable[[Stage], None]]:
    """Who is told of the stages of a task, for the length of a block: who is stated, or a bar.

    Raises:
        EquipotError: a bar is wanted, and tqdm is not installed.
    """
    if callable(progress):
        yield progress
        return
    with bar(progress, unit="") as shown:
        yield shown.stage


@contextmanager
def counted(progress: Progress, total: int) -> Iterator[Callable[[], None]]:
    """What is called for each structure that is done, for the length of a block.

    Raises:
        EquipotError: a bar is wanted, and tqdm is not installed.
    """
    if not callable(progress):
        with bar(progress, total) as shown:
            yield shown.add
        return
    numbers = itertools.count(1)
    yield lambda: progress(Stage("structures", next(numbers), total))
