"""Results of workers in the order of the items, however the workers take turns."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True)
class ItemResult(Generic[Item, Value]):
    """What became of one item.

    Attributes:
        index: position of the item in the input.
        item: the item.
        value: what the function returned, None after a failure.
        failure: why there is no value, None on success.
    """

    index: int
    item: Item
    value: Value | None
    failure: str | None


class Workers(Protocol[Item, Value]):
    """Workers that each answer one item at a time."""

    @property
    def busy(self) -> bool:
        """Whether any has an item, or one waits to be tried again."""

    def takes(self, index: int, item: Item) -> bool:
        """Give an item to a worker that has nothing to do; false where there is none."""

    def news(self) -> Iterator[ItemResult[Item, Value]]:
        """Wait until there is news; the results that there are then."""

    def stop(self) -> None:
        """End all workers."""


def in_order(
    hire: Callable[[], Workers[Item, Value]], items: Iterable[Item], window: int
) -> Iterator[ItemResult[Item, Value]]:
    """Results in the order of the items.

    Args:
        hire: makes the workers, which are ended with the last result; not called without an item.
        items: read as workers become free.
        window: how many items may be under way or wait for a slower one before them.
    """
    queue = enumerate(items)
    entry = next(queue, None)
    if entry is None:
        return
    workers = hire()
    finished: dict[int, ItemResult[Item, Value]] = {}
    following = 0
    try:
        while entry or finished or workers.busy:
            while entry and entry[0] < following + window and workers.takes(*entry):
                entry = next(queue, None)
            finished |= {result.index: result for result in workers.news()}
            while following in finished:
                yield finished.pop(following)
                following += 1
    finally:
        workers.stop()
