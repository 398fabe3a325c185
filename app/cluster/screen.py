"""Screen: portions go to workers, and their results into a folder.

Actors of Ray and not Ray Data: what a run that goes on needs is that portions have numbers and that
each is written once, which is a queue and a folder here; Ray Data has neither, and would read our
formats through a source of our own as well. No worker needs the files or the folder: bytes travel.

What a worker had when its process, or its machine, ended goes to another one, and a new worker takes
its place. A portion that has ended several of them is answered structure by structure: one that ends
its worker again gets an error, and all others have their results.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from app.cluster.folder import ScreenFolder
from app.cluster.portions import Portion
from app.cluster.worker import Assignment, Done, Facts, Usage, Worker
from app.cluster.workers import Resources, check_starts, own_error, wanted
from app.errors import BackendError
from app.protocol.response import Result
from app.protocol.tally import Tally

AT_ONCE = 2
"""Portions that a worker has: the next one is read while the first is evaluated."""
CAREFUL = 3
"""Workers that a portion may end before it is answered one by one."""
HOPELESS = 2
"""Workers that one structure may end."""
UNSTARTED = 30.0
"""Seconds after which it is said why no worker has started."""
WAIT = 0.25
"""Seconds between two looks at progress and signals."""
Ref: TypeAlias = Any
"""Of what Ray will have."""


class Progress(NamedTuple):
    """What is told while a screen goes on.

    Attributes:
        tally: of the portion that has been written; None where none was.
        share: of the input that was given out.
        under_way: portions.
        usage: of the worker that answered, if any.
    """

    tally: Tally | None
    share: float
    under_way: int
    usage: Usage | None = None


@dataclass(slots=True, eq=False)
class _Place:
    """A worker, and how much it has."""

    actor: Any
    started: Ref
    facts: Facts | None = None
    given: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """A portion on its way, as a whole or one by one."""

    portion: Portion
    deaths: int = 0
    results: list[Result] | None = None
    is_answered: bool = False
    here: int = field(default=0)

    def send(self, actor: Any) -> Ref:
        """Ask a worker for the next step."""
        if self.results is None:
            return actor.screen.remote(self.portion)
        if self.is_answered:
            return actor.written.remote(self.portion, self.results)
        return actor.one.remote(self.portion, len(self.results))

    def take(self, answer: Any) -> Done | None:
        """Take what a step has given; the end, if that was the last one."""
        if isinstance(answer, Done):
            return answer
        assert self.results is not None
        self.here = 0
        if answer is None:
            self.is_answered = True
        else:
            self.results.append(answer)
        return None

    def die(self) -> None:
        """The worker has ended meanwhile."""
        if self.results is None:
            self.deaths += 1
            if self.deaths >= CAREFUL:
                self.results = []
            return
        self.here += 1
        if self.here >= HOPELESS and not self.is_answered:
            self.here = 0
            self.results.append(
                BackendError("the worker ended each time while this structure was evaluated")
            )


class Screen:
    """Has portions answered by workers of the cluster that this process is a driver of.

    Args:
        assignment: what is asked.
        folder: where results go.
        resources: of the workers.
        say: is told what happens to workers.
    """

    def __init__(
        self,
        assignment: Assignment,
        folder: ScreenFolder,
        resources: Resources,
        say: Callable[[str], None],
    ) -> None:
        import ray

        self._ray, self._folder, self._say = ray, folder, say
        self._assignment = ray.put(assignment)
        gpus = {"num_gpus": resources.gpus} if resources.gpus else {}
        self._actor = ray.remote(Worker).options(
            num_cpus=resources.cores, max_concurrency=64, **gpus
        )
        self._wanted = wanted(resources)
        self._places: list[_Place] = []
        self._waiting: deque[Task] = deque()
        self._under_way: dict[Ref, tuple[Task, _Place]] = {}
        self._early_ends = 0
        self._kinds: set[str] = set()
        self._began, self._is_told = time.monotonic(), False

    def run(self, portions: Iterator[Portion], has_ended: Callable[[], bool]) -> Iterator[Progress]:
        """Answer all that has no results yet; told of each portion that is written, and now and then.

        Args:
            portions: all of them.
            has_ended: whether to give up; what is under way is then lost, and nothing else.

        Raises:
            EquipotError: the model cannot be run by a worker, or no worker stays.
        """
        left = (portion for portion in portions if not self._folder.has(portion.number))
        share, more = 0.0, True
        self._places = [self._place() for _ in range(self._wanted)]
        try:
            while not has_ended():
                while self._waiting or more:
                    place = self._free()
                    if place is None:
                        break
                    if not self._waiting:
                        portion = next(left, None)
                        if portion is None:
                            more = False
                            break
                        share = portion.share
                        self._waiting.append(Task(portion))
                    self._give(self._waiting.popleft(), place)
                if not (more or self._waiting or self._under_way):
                    return
                self._tell_of_waiting()
                for done in self._ended():
                    yield Progress(done.tally, share, len(self._under_way), done.usage)
                yield Progress(None, share, len(self._under_way))
        finally:
            for each in self._places:
                self._ray.kill(each.actor)

    @property
    def workers(self) -> list[Facts]:
        """Those that have a model."""
        return [place.facts for place in self._places if place.facts]

    def _tell_of_waiting(self) -> None:
        """Say once that there is no worker yet, and what of the cluster is free."""
        if self._is_told or time.monotonic() - self._began < UNSTARTED or self.workers:
            return
        self._is_told = True
        there, free = self._ray.cluster_resources(), self._ray.available_resources()
        cpus = f"{free.get('CPU', 0):g} of {there.get('CPU', 0):g} CPUs"
        gpus = f"{free.get('GPU', 0):g} of {there.get('GPU', 0):g} GPUs"
        self._say(f"waiting for workers, which are given out; free are {cpus} and {gpus}")

    def _place(self) -> _Place:
        actor = self._actor.remote()
        return _Place(actor, actor.start.remote(self._assignment))

    def _free(self) -> _Place | None:
        """The worker that has least, if it may have more."""
        ready = [place for place in self._places if place.facts and place.given < AT_ONCE]
        return min(ready, key=lambda place: place.given, default=None)

    def _give(self, task: Task, place: _Place) -> None:
        self._under_way[task.send(place.actor)] = task, place
        place.given += 1

    def _ended(self) -> Iterator[Done]:
        """Wait a moment; what has been answered, after it was written."""
        starting = {place.started: place for place in self._places if not place.facts}
        refs = [*self._under_way, *starting]
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(refs, num_returns=1, timeout=WAIT)
        for ref in ready:
            if ref in starting:
                self._started(ref, starting[ref])
            elif ref in self._under_way and (done := self._answered(ref)) is not None:
                yield done

    def _started(self, ref: Ref, place: _Place) -> None:
        try:
            facts: Facts = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise own_error(error) from error
        except self._ray.exceptions.RayError as error:
            self._replace(place, error)
            return
        place.facts, self._early_ends = facts, 0
        self._kinds.add(facts.runs_on)
        if len(self._kinds) > 1:
            self._say(
                f"{facts.node} runs on {facts.runs_on}, others on {_others(self._kinds, facts)}"
            )

    def _answered(self, ref: Ref) -> Done | None:
        task, place = self._under_way.pop(ref)
        place.given -= 1
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise own_error(error) from error
        except self._ray.exceptions.RayError as error:  # the process or its machine is gone
            task.die()
            self._waiting.appendleft(task)
            self._replace(place, error)
            return None
        done = task.take(answer)
        if done is None:
            self._waiting.appendleft(task)
            return None
        self._folder.write(task.portion.number, done.content, done.tally)
        return done

    def _replace(self, place: _Place, error: Exception) -> None:
        """Have a new worker in the place of one that has ended."""
        if place not in self._places:
            return
        self._places.remove(place)
        self._ray.kill(place.actor)
        told = " ".join(str(error).split())
        if place.facts is None:
            self._early_ends += 1
        check_starts(self._early_ends, told)
        self._say("a worker has ended; what it had goes to another one")
        self._places.append(self._place())


def _others(kinds: set[str], facts: Facts) -> str:
    return ", ".join(sorted(kinds - {facts.runs_on}))
