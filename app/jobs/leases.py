"""Chunks as they are worked on: each has one holder at a time, for as long as it says that it lives.

A chunk waits, is leased, or done. What a process that dies had leased is given to another one once
the lease is over; results count only from who holds the lease when they are handed in, so that each
structure has them exactly once, however often its chunk was begun.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from app.jobs.database import Database
from app.jobs.job import OPEN, from_text
from app.jobs.tables import chunks, jobs
from app.protocol.model_ref import ModelRef

Place: TypeAlias = tuple[str, int]
"""Job and number of a chunk."""


class Progress(NamedTuple):
    """How far a chunk is.

    Attributes:
        answered: structures that have an answer.
        failed: those that have an error.
        is_new: whether any of them came with this lease.
        under_way: how far tasks are with others, as text of JSON: a list of the structure's number in
            the chunk, the name of what is done, how many are done, and of how many; None where
            nothing is told.
    """

    answered: int
    failed: int
    is_new: bool
    under_way: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A chunk that one holder may work on.

    Attributes:
        job: its id.
        number: of the chunk.
        start: first byte of the body.
        stop: the byte after the last one.
        first: number of its first structure.
        structures: how many there are.
        lines: lines of the body before it.
        attempts: how often it was begun, and nothing came of it.
        state: `waiting`, or `leased` where who held it did not say any more that it lives.
    """

    job: str
    number: int
    start: int
    stop: int
    first: int
    structures: int
    lines: int
    attempts: int
    state: str = "waiting"

    @property
    def place(self) -> Place:
        """Which chunk it is."""
        return self.job, self.number


class Leases:
    """The chunks of all jobs, for one holder. Its methods block.

    Args:
        database: where they are.
        holder: who holds what is leased here.
        seconds: that a lease lasts.
    """

    def __init__(self, database: Database, holder: str, seconds: float) -> None:
        self._database, self._holder, self._seconds = database, holder, seconds
        self._turns: dict[str | None, int] = {}

    def take(self, models: Collection[ModelRef]) -> Lease | None:
        """The next chunk of the oldest job that has one free; None where there is none.

        Owners of jobs take turns, chunk by chunk; those without one are one owner.

        Args:
            models: that are served here; a job has to have all of its own.
        """
        if not models:
            return None
        with self._database.write() as connection:
            now = self._database.now(connection)
            free = and_(
                chunks.c.state.in_(("waiting", "leased")),
                or_(chunks.c.state == "waiting", chunks.c.lease_until < now),
            )
            may = and_(jobs.c.state.in_(OPEN), _are_served(connection, models))
            row = self._next(connection, may, free)
            if row is None:
                return None
            at = and_(chunks.c.job == row.job, chunks.c.number == row.number)
            leased = {
                "state": "leased",
                "holder": self._holder,
                "lease_until": now + self._seconds,
                "attempts": row.attempts + 1,
            }
            connection.execute(update(chunks).where(at).values(leased))
            begun = and_(jobs.c.id == row.job, jobs.c.state == "queued")
            connection.execute(update(jobs).where(begun).values(state="running", started=now))
        shown = {name: getattr(row, name) for name in Lease.__slots__}
        return Lease(**shown)

    def _next(
        self, connection: Connection, may: ColumnElement[bool], free: ColumnElement[bool]
    ) -> Row[Any] | None:
        """A chunk of the owner whose last turn is longest ago.

        Args:
            connection: to the database, for writing.
            may: which jobs may go on here.
            free: which of their chunks may be taken.
        """
        has_free = exists().where(chunks.c.job == jobs.c.id, free)
        oldest = func.min(jobs.c.created)
        waiting = select(jobs.c.owner).where(may, has_free).group_by(jobs.c.owner).order_by(oldest)
        owners = connection.execute(waiting).scalars().all()
        for owner in sorted(owners, key=lambda owner: self._turns.get(owner, 0)):
            query = (
                select(chunks)
                .join(jobs, jobs.c.id == chunks.c.job)
                .where(may, free, jobs.c.owner.is_not_distinct_from(owner))
                .order_by(jobs.c.created, jobs.c.id, chunks.c.number)
                .limit(1)
                .with_for_update(of=chunks, skip_locked=True)
            )
            if (row := connection.execute(query).first()) is not None:
                last = max(self._turns.values(), default=0)
                self._turns = {k: turn for k, turn in self._turns.items() if k in owners}
                self._turns[owner] = last + 1
                return row
        return None

    def renew(self, progress: Mapping[Place, Progress | None]) -> set[Place]:
        """Go on holding chunks, and tell how far they are, where that is known; those that are lost.

        Lost is what another one holds meanwhile, and what belongs to a job that has ended.
        """
        lost = set()
        with self._database.write() as connection:
            until = self._database.now(connection) + self._seconds
            for place, now in sorted(progress.items()):
                open_job = exists().where(jobs.c.id == place[0], jobs.c.state.in_(OPEN))
                values: dict[str, float | str | None] = {"lease_until": until}
                if now is not None:
                    told = {"answered": now.answered, "failed": now.failed}
                    values |= {**told, "under_way": now.under_way}
                if now is not None and now.is_new:
                    values["attempts"] = 0
                renewed = update(chunks).where(self._held(place), open_job).values(values)
                if not connection.execute(renewed).rowcount:
                    lost.add(place)
        return lost

    def release(self, places: Collection[Place], counts: bool = False) -> None:
        """Give chunks back.

        Args:
            places: which.
            counts: whether it counts as an attempt that they were begun.
        """
        fewer = case((chunks.c.attempts > 0, chunks.c.attempts - 1), else_=0)
        with self._database.write() as connection:
            for place in sorted(places):
                values = {
                    "state": "waiting",
                    "holder": None,
                    "lease_until": None,
                    "under_way": None,
                    "attempts": chunks.c.attempts if counts else fewer,
                }
                connection.execute(update(chunks).where(self._held(place)).values(values))

    def finish(self, place: Place, results: str, size: int, progress: Progress) -> bool:
        """Hand in the results of a chunk; whether they count. Of an item of its body there may be
        several, as of a file in a request, so that only now it is known how many there are.

        Args:
            place: the chunk.
            results: name of their file.
            size: bytes of it.
            progress: how many of them are answers and errors.
        """
        open_job = exists().where(jobs.c.id == place[0], jobs.c.state.in_(OPEN))
        with self._database.write() as connection:
            which = and_(self._held(place), open_job)
            structures = progress.answered + progress.failed
            return self._hand_in(connection, place, which, results, size, structures, progress)

    def leave(
        self, place: Place, results: str, size: int, structures: int, progress: Progress
    ) -> bool:
        """Hand in what there is of a chunk whose job was cancelled; whether it counts.

        Args:
            place: the chunk, which nobody else holds.
            results: name of the file, with a place for each structure.
            size: bytes of it.
            structures: how many there are.
            progress: how many of them have an answer or an error of their own.
        """
        cancelled = exists().where(jobs.c.id == place[0], jobs.c.state == "cancelled")
        with self._database.write() as connection:
            free = or_(
                chunks.c.state == "waiting",
                and_(
                    chunks.c.state == "leased",
                    or_(
                        chunks.c.holder == self._holder,
                        chunks.c.lease_until < self._database.now(connection),
                    ),
                ),
            )
            which = and_(chunks.c.job == place[0], chunks.c.number == place[1], free, cancelled)
            return self._hand_in(connection, place, which, results, size, structures, progress)

    def _hand_in(
        self,
        connection: Connection,
        place: Place,
        which: ColumnElement[bool],
        results: str,
        size: int,
        structures: int,
        progress: Progress,
    ) -> bool:
        expected = connection.execute(select(chunks.c.structures).where(which)).scalar()
        values = {
            "state": "done",
            "holder": None,
            "lease_until": None,
            "under_way": None,
            "results": results,
            "result_bytes": size,
            "answered": progress.answered,
            "failed": progress.failed,
            "structures": structures,
            "ended": self._database.now(connection),
        }
        done = bool(connection.execute(update(chunks).where(which).values(values)).rowcount)
        if done and expected is not None and structures != expected:
            whole = {"structures": jobs.c.structures + structures - expected}
            connection.execute(update(jobs).where(jobs.c.id == place[0]).values(whole))
        return done

    def end_jobs(self) -> list[str]:
        """End the jobs all of whose chunks are done; which these are.

        A transaction of its own after that of the last chunk: of two that end the last two chunks
        of a job at once, the one that comes later sees both.
        """
        with self._database.write() as connection:
            left = exists().where(chunks.c.job == jobs.c.id, chunks.c.state != "done")
            query = select(jobs.c.id).where(jobs.c.state == "running", ~left)
            ended = list(connection.execute(query.with_for_update(skip_locked=True)).scalars())
            values = {"state": "done", "ended": self._database.now(connection)}
            connection.execute(update(jobs).where(jobs.c.id.in_(ended)).values(values))
        return ended

    def _held(self, place: Place) -> ColumnElement[bool]:
        return and_(
            chunks.c.job == place[0],
            chunks.c.number == place[1],
            chunks.c.state == "leased",
            chunks.c.holder == self._holder,
        )


def _are_served(connection: Connection, models: Collection[ModelRef]) -> ColumnElement[bool]:
    """Whether all models of a job are among some."""
    first = tuple_(jobs.c.model, jobs.c.digest).in_([(m.reference, m.digest) for m in models])
    of_several = select(jobs.c.id, jobs.c.others).where(
        jobs.c.state.in_(OPEN), jobs.c.others.is_not(None)
    )
    rows = connection.execute(of_several)
    complete = [row.id for row in rows if set(from_text(row.others)) <= set(models)]
    return and_(first, or_(jobs.c.others.is_(None), jobs.c.id.in_(complete)))
