"""A bar that says how far something is, in notebooks and on terminals."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from equipot.errors import EquipotError


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

    def move(self, to: int) -> None:
        """So many altogether."""
        if self._shown is not None:
            self._shown.update(to - self._shown.n)


@contextmanager
def bar(wanted: bool, total: int | None = None) -> Iterator[Bar]:
    """A bar for the length of a block.

    Raises:
        EquipotError: one is wanted, and tqdm is not installed.
    """
    if not wanted:
        yield Bar()
        return
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        raise EquipotError(
            "progress: tqdm is not installed; pip install 'equipot-client[progress]'"
        ) from None
    with tqdm(total=total, unit="structure", unit_scale=False) as shown:
        yield Bar(shown)
