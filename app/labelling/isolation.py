"""Run a function over items in worker processes, where a crash or a hang costs one item.

Every worker is a fresh interpreter with one numerics thread, in a session of its own, so that what
it starts (an external quantum chemistry program, say) ends with it.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context
from typing import Any, Generic, TypeVar

from app.errors import EquipotError, TrainingError
from app.labelling.ordering import ItemResult, in_order

Item = TypeVar("Item")
Value = TypeVar("Value")

START_LIMIT = 300.0  # s, that a worker may take before its first item
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_SPAWN = get_context("spawn")


def isolated(
    start: Callable[[], Callable[[Item], Value]],
    items: Iterable[Item],
    processes: int,
    timeout: float,
    window: int = 256,
) -> Iterator[ItemResult[Item, Value]]:
    """Results in the order of the items.

    Args:
        start: called once in every worker; returns the function of one item. Both must be
            picklable.
        items: read as workers become free.
        processes: number of workers.
        timeout: seconds that one item may take; a worker that takes longer is killed and replaced.
        window: how many items may be under way or wait for a slower one before them.

    Raises:
        EquipotError: what `start` raised.
        TrainingError: a worker that dies or hangs before its first item.
    """
    yield from in_order(lambda: _Pool[Item, Value](start, timeout, processes), items, window)


class _Pool(Generic[Item, Value]):
    """The worker processes of this one."""

    def __init__(
        self, start: Callable[[], Callable[[Item], Value]], timeout: float, processes: int
    ) -> None:
        self.workers = [_Worker[Item, Value](start, timeout) for _ in range(processes)]

    @property
    def busy(self) -> bool:
        return any(worker.entry is not None for worker in self.workers)

    def takes(self, index: int, item: Item) -> bool:
        for worker in self.workers:
            if worker.idle:
                worker.give((index, item))
                return True
        return False

    def news(self) -> Iterator[ItemResult[Item, Value]]:
        """Wait until a worker has news or runs out of time; the results that there are then."""
        patience = min(worker.deadline for worker in self.workers) - time.monotonic()
        awake = [part for worker in self.workers for part in (worker.pipe, worker.process.sentinel)]
        connection.wait(awake, None if math.isinf(patience) else max(patience, 0.0))
        for worker in self.workers:
            result = worker.news()
            if result is not None:
                yield result

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()


class _Worker(Generic[Item, Value]):
    """The parent's view of one worker process, which it replaces after a crash or a hang."""

    def __init__(self, start: Callable[[], Callable[[Item], Value]], timeout: float) -> None:
        self._start, self._timeout = start, timeout
        self.entry: tuple[int, Item] | None = None
        self._launch()

    def _launch(self) -> None:
        self.pipe, there = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(there, self._start), daemon=True)
        with _one_thread():
            self.process.start()
        there.close()
        self.ready = False
        self.deadline = time.monotonic() + START_LIMIT

    @property
    def idle(self) -> bool:
        return self.ready and self.entry is None

    def give(self, entry: tuple[int, Item]) -> None:
        self.entry, self.deadline = entry, time.monotonic() + self._timeout
        try:
            self.pipe.send(entry[1])
        except BrokenPipeError:
            self.deadline = -math.inf  # it has died; `news` finds that out

    def news(self) -> ItemResult[Item, Value] | None:
        """The result of its item, if there is one now."""
        if self.pipe.poll():
            try:
                return self._received(*self.pipe.recv())
            except (EOFError, ConnectionResetError):
                return self._lost(self._obituary())
        if not self.process.is_alive():
            return self._lost(self._obituary())
        if time.monotonic() >= self.deadline:
            return self._lost(
                f"no answer within {self._timeout if self.ready else START_LIMIT:g} s"
            )
        return None

    def stop(self) -> None:
        _kill(self.process)
        self.pipe.close()

    def _received(self, kind: str, content: Any) -> ItemResult[Item, Value] | None:
        if kind == "error":
            raise content
        self.deadline = math.inf
        if kind == "ready":
            self.ready = True
            return None
        return self._result(content, None) if kind == "value" else self._result(None, content)

    def _result(self, value: Value | None, failure: str | None) -> ItemResult[Item, Value] | None:
        if self.entry is None:
            return None
        (index, item), self.entry = self.entry, None
        return ItemResult(index, item, value, failure)

    def _lost(self, reason: str) -> ItemResult[Item, Value] | None:
        if not self.ready:
            raise TrainingError(f"a worker process cannot start: {reason}")
        self.stop()
        result = self._result(None, reason)
        self._launch()
        return result

    def _obituary(self) -> str:
        self.process.join(10)
        return f"the worker process died (exit code {self.process.exitcode})"


def _serve(pipe: Any, start: Callable[[], Callable[[Any], Any]]) -> None:
    """Body of a worker: make the function, then answer one item at a time until the pipe closes."""
    if hasattr(os, "setsid"):
        os.setsid()
    try:
        function = start()
    except EquipotError as error:
        pipe.send(("error", error))
        return
    except Exception as error:
        pipe.send(("error", TrainingError(f"a worker process cannot start: {describe(error)}")))
        return
    pipe.send(("ready", None))
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        pipe.send(answer(function, item))


def answer(function: Callable[[Any], Any], item: Any) -> tuple[str, Any]:
    """`value` and what a function gives for an item, or `failure` and why it gives nothing."""
    try:
        return "value", function(item)
    except Exception as error:
        return "failure", describe(error)


def describe(error: Exception) -> str:
    """Class and message of an error, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _kill(process: Any) -> None:
    """End a worker and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    # no process groups here, or not yet a leader of one
    except (AttributeError, ProcessLookupError):
        process.kill()
    process.join()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let the processes that start in here use one numerics thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
