"""A job: what was asked, and how far it is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.jobs.schemas import State
from app.protocol.model_ref import ModelRef
from app.protocol.request import Kind

OPEN: tuple[State, ...] = ("queued", "running")
"""States of a job that has not ended."""


class UnderWay(NamedTuple):
    """How far a task is with one structure.

    Attributes:
        structure: its number.
        stage: what is being done.
        done: so many of them.
        total: of so many; None where that is not known.
    """

    structure: int
    stage: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is submitted.

    Attributes:
        id: of the job, and of its folder.
        kind: how its body is written.
        query: what was asked beside the body.
        prefix: what was asked in the body (see `app.jobs.parts`).
        model: `name@version`; the first where each structure has one of several.
        digest: of that version.
        others: further models, as text (see `as_text`); None where there is one.
        options: what is asked of each structure (see `app.jobs.options`).
        structures: how many.
        input_bytes: of the body.
        estimate: seconds that it takes alone; None where that is not known.
        at_most: seconds that it takes alone where every relaxation takes all its steps.
        assumes: what these two assume.
        key: by which its sender knows whether it was submitted before.
        request_digest: sha256 of all that was asked.
        webhook: URL that is told of the end.
        webhook_secret: with which what it is told is signed.
        owner: name of the key that it was submitted with; None without keys.
    """

    id: str
    kind: Kind
    query: list[tuple[str, str]]
    prefix: bytes
    model: str
    digest: str
    others: str | None
    options: str
    structures: int
    input_bytes: int
    estimate: float | None
    at_most: float | None
    assumes: str | None
    key: str | None
    request_digest: str
    webhook: str | None
    webhook_secret: str | None
    owner: str | None

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """The model of all structures, or in their order those of which each has its own."""
        return ModelRef.of(self.model, self.digest), *from_text(self.others)

    @property
    def only(self) -> ModelRef | None:
        """The model of all structures; None where there are several."""
        return ModelRef.of(self.model, self.digest) if self.others is None else None


@dataclass(frozen=True, slots=True)
class Job(NewJob):
    """A job as it is now.

    Attributes:
        state: whether it waits, is worked on, or has ended, and how.
        created: seconds since 1970.
        started: when its first structure was taken.
        ended: when it was done or cancelled.
        webhook_state: `waiting`, `sent` or `failed`.
        answered: structures that have an answer.
        failed: structures that have an error.
        result_bytes: of all results.
        rate: structures a second of the chunks that ended last.
        now: when this was read.
        under_way: how far its task is with some of its structures.
    """

    state: State
    created: float
    started: float | None
    ended: float | None
    webhook_state: str | None
    answered: int
    failed: int
    result_bytes: int
    rate: float | None
    now: float
    under_way: tuple[UnderWay, ...] = ()

    @property
    def left(self) -> int:
        """Structures that have neither an answer nor an error yet."""
        return self.structures - self.answered - self.failed

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class ResultFile:
    """The results of one chunk.

    Attributes:
        name: of the file; None where the chunk is not complete, and what there is of it is kept
            beside.
        number: of the chunk.
        first: number of its first structure.
        structures: how many it has.
    """

    name: str | None
    number: int
    first: int
    structures: int


def as_text(others: Sequence[ModelRef]) -> str | None:
    """Models as a row keeps them; None where there are none."""
    return json.dumps([(each.reference, each.digest) for each in others]) if others else None


def from_text(others: str | None) -> tuple[ModelRef, ...]:
    """The models that a row keeps."""
    return tuple(ModelRef.of(*each) for each in json.loads(others or "[]"))
