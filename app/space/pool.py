"""Workers of this machine: processes that hold the model and evaluate regions."""

import os
import pickle
import queue
import signal
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from app.atoms.regions import Region
from app.engine.limits import MEMORY_SHARE
from app.errors import BackendError, EquipotError, InvalidRequest
from app.machine import cores, free_memory
from app.space.evaluator import Answer
from app.space.opening import Opening

MOST_WORKERS = 512
WAITING = 2
"""Regions for each worker that are under way, so that none waits for the next one to be made."""
ATTEMPTS = 2
"""Of one region, if the worker that has it dies."""
SECONDS = 10.0
"""That a worker may take to end itself, once there is nothing more to do."""
NUMERICS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Pool:
    """Some worker processes, which evaluate regions side by side.

    A worker that dies is replaced, and its region given to another one, once. They end with
    `close`, or with this process.

    Args:
        opening: of the model, by each worker for itself. Its threads, or all cores, are shared
            between them.
        count: how many.

    Raises:
        InvalidRequest: no such number of workers.
    """

    def __init__(self, opening: Opening, count: int) -> None:
        if not 1 <= count <= MOST_WORKERS:
            raise InvalidRequest(f"workers: {count}; must be from 1 to {MOST_WORKERS}")
        threads = max(1, (opening.threads or cores()) // count)
        self._opening = replace(opening, threads=threads)
        self._memory = int(MEMORY_SHARE * free_memory() / count)
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="space")
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._ending = weakref.finalize(self, _end, self._processes)
        for _ in range(count):
            self._free.put(self._start())
        self.workers = count

    def answers(
        self, regions: Iterable[Region], derivatives: bool
    ) -> Iterator[tuple[Region, Answer]]:
        """See `app.space.evaluator.Transport`.

        Raises:
            BackendError: a worker cannot start, or dies of a region twice.
            EquipotError: as `app.space.evaluator.Evaluator.answer`.
        """
        waiting: deque[tuple[Region, Future[Answer]]] = deque()
        try:
            for region in regions:
                waiting.append((region, self._threads.submit(self._ask, region, derivatives)))
                if len(waiting) >= WAITING * self.workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()

    def processes(self) -> tuple[int, ...]:
        """Their numbers, while they live."""
        return tuple(process.pid for process in self._processes)

    def close(self) -> None:
        """End the workers, once they have done what they are at."""
        self._threads.shutdown(cancel_futures=True)
        self._ending()

    def _ask(self, region: Region, derivatives: bool) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            worker = self._free.get()
            try:
                answer = worker.ask((region, derivatives))
            except _Died as death:
                self._processes.discard(worker.process)
                worker = self._start()
                if attempt == ATTEMPTS:
                    raise BackendError(
                        f"a worker {death} while it evaluated {region.core} atoms, and so did "
                        "another one; take fewer workers if memory is short"
                    ) from None
            else:
                if isinstance(answer, EquipotError):
                    raise answer
                assert isinstance(answer, Answer)
                return answer
            finally:
                self._free.put(worker)
        raise AssertionError("unreachable")

    def _start(self) -> "_Worker":
        worker = _Worker(self._opening, self._memory)
        self._processes.add(worker.process)
        return worker


class _Died(Exception):
    """The process of a worker is over; says how."""


class _Worker:
    """This side of one worker process, used by one thread at a time."""

    def __init__(self, opening: Opening, memory: int) -> None:
        path = os.pathsep.join(place for place in sys.path if place)
        numerics = dict.fromkeys(NUMERICS, str(opening.threads))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.space.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **numerics, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._first: tuple[Opening, int] | None = opening, memory

    def ask(self, question: object) -> object:
        """The answer to a question; the model is opened before the first.

        Raises:
            _Died: the process is over.
            EquipotError: it cannot open the model.
        """
        if self._first is not None:
            if (refusal := self._exchange(self._first)) is not None:
                assert isinstance(refusal, EquipotError)
                self.process.wait()
                raise refusal
            self._first = None
        return self._exchange(question)

    def _exchange(self, question: object) -> Any:
        questions, answers = self.process.stdin, self.process.stdout
        assert questions is not None
        assert answers is not None
        try:
            pickle.dump(question, questions, protocol=pickle.HIGHEST_PROTOCOL)
            questions.flush()
            return pickle.load(answers)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            status = self.process.wait()
            _shut(self.process)
            raise _Died(_cause(status)) from None


def _cause(status: int) -> str:
    """How a process has ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"


def _end(processes: set[subprocess.Popen[bytes]]) -> None:
    """Let workers go: they end where there are no more questions."""
    for process in processes:
        if process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended already
                process.stdin.close()
    for process in processes:
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _shut(process)
    processes.clear()


def _shut(process: subprocess.Popen[bytes]) -> None:
    """Close this side of the pipes of a process that has ended."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what was not sent is lost with it
                pipe.close()
