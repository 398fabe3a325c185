"""Jobs and their chunks in the database: what is there, and how it is asked and told."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, Subquery, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.access.caller import Caller
from app.errors import JobConflict, Overloaded, RateLimited, Unavailable, UnknownJob
from app.jobs.database import Database
from app.jobs.job import OPEN, Job, NewJob, ResultFile, UnderWay
from app.jobs.parts import Part
from app.jobs.tables import chunks, folder, jobs

RECENT = 32
"""Chunks that ended last, of which the rate is told."""
FULL_RETRY = 60.0
"""Seconds after which one who finds all places for jobs taken may come back."""


class JobStore:
    """Jobs by their id. Its methods block.

    Args:
        database: where they are.
        folder_id: of the folder with their files.

    Raises:
        Unavailable: the database belongs to another folder.
    """

    def __init__(self, database: Database, folder_id: str) -> None:
        self._database = database
        with database.write() as connection:
            known = connection.execute(select(folder.c.id)).scalar()
            if known is None:
                connection.execute(insert(folder).values(id=folder_id))
            elif known != folder_id:
                raise Unavailable(
                    "the folder of jobs (EQUIPOT_JOBS_FOLDER) is not the one that their database "
                    "(EQUIPOT_DATABASE) belongs to; all services of a database share one folder"
                )

    def create(
        self,
        job: NewJob,
        parts: Sequence[Part],
        most: int,
        most_bytes: int,
        caller: Caller | None = None,
    ) -> Job:
        """Take a job in; where one has its key, that one.

        Args:
            job: as it was submitted.
            parts: of its body.
            most: jobs that have not ended.
            most_bytes: of all jobs.
            caller: whose it is, who may have a share of these jobs.

        Raises:
            JobConflict: the key is that of another request.
            Overloaded: so many have not ended, or all together take too much of the disk.
        """
        if job.key is not None:
            with contextlib.suppress(UnknownJob):
                return self.with_key(job.key, job.request_digest)
        try:
            with self._database.write() as connection:
                _check_room(connection, job.input_bytes, most, most_bytes, caller)
                values = {field.name: getattr(job, field.name) for field in fields(job)}
                values |= {
                    "query": json.dumps(job.query),
                    "state": "queued",
                    "created": self._database.now(connection),
                    "webhook_tries": 0,
                    "webhook_state": "waiting" if job.webhook else None,
                }
                connection.execute(insert(jobs), values)
                rows = [_row(job.id, number, part) for number, part in enumerate(parts)]
                connection.execute(insert(chunks), rows)
        except IntegrityError:
            if job.key is None:
                raise
            return self.with_key(job.key, job.request_digest)
        return self.get(job.id)

    def check_room(
        self, size: int, most: int, most_bytes: int, caller: Caller | None = None
    ) -> None:
        """Whether a job with a body of so many bytes could be taken in.

        Raises:
            Overloaded: it could not.
        """
        with self._database.read() as connection:
            _check_room(connection, size, most, most_bytes, caller)

    def with_key(self, key: str, request_digest: str) -> Job:
        """The job with a key, if the same was asked.

        Raises:
            UnknownJob: there is none.
            JobConflict: something else was asked.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(jobs.c.id, jobs.c.request_digest).where(jobs.c.key == key)
            ).first()
        if row is None:
            raise UnknownJob("no job has this key")
        if row.request_digest != request_digest:
            raise JobConflict(
                f"Idempotency-Key: another request was sent with this key, of job {row.id}; take a "
                "new key for a new request"
            )
        return self.get(row.id)

    def get(self, id_: str, owner: str | None = None) -> Job:
        """A job as it is now.

        Args:
            id_: of the job.
            owner: the key whose job it has to be; None for anybody's.

        Raises:
            UnknownJob: there is none of this id, or it is another one's.
        """
        with self._database.read() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == id_)).first()
            if row is None or owner not in (None, row.owner):
                raise UnknownJob(f"no job '{id_[:80]}'; it may have been removed after its end")
            return self._job(connection, row)

    def listed(
        self, most: int, before: float | None, state: str | None, owner: str | None = None
    ) -> list[Job]:
        """The newest jobs, newest first.

        Args:
            most: so many.
            before: those created before this moment only.
            state: those in this state only.
            owner: those of this key only.
        """
        query = select(jobs).order_by(jobs.c.created.desc(), jobs.c.id).limit(most)
        if before is not None:
            query = query.where(jobs.c.created < before)
        if state is not None:
            query = query.where(jobs.c.state == state)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with self._database.read() as connection:
            return [self._job(connection, row) for row in connection.execute(query)]

    def cancel(self, id_: str) -> Job:
        """End a job that has not ended; what is under way of it is given up.

        Raises:
            UnknownJob: there is none of this id.
        """
        with self._database.write() as connection:
            values = {"state": "cancelled", "ended": self._database.now(connection)}
            wanted = (jobs.c.id == id_) & jobs.c.state.in_(OPEN)
            if connection.execute(update(jobs).where(wanted).values(values)).rowcount:
                unfinished = (chunks.c.job == id_) & (chunks.c.state != "done")
                nothing = {
                    "answered": 0,
                    "failed": 0,
                    "under_way": None,
                }  # until who has it hands it in
                connection.execute(update(chunks).where(unfinished).values(nothing))
        return self.get(id_)

    def result_files(self, id_: str, start: int, stop: int) -> list[ResultFile]:
        """Files with results of structures from `start` to `stop`, as far as there are any without
        a gap; the last one may be that of a chunk that is not complete.
        """
        all_files = _numbered(id_)
        query = (
            select(all_files)
            .where(all_files.c.first < stop)
            .where(all_files.c.first + all_files.c.structures > start)
            .order_by(all_files.c.number)
        )
        found: list[ResultFile] = []
        with self._database.read() as connection:
            for row in connection.execute(query):
                found.append(ResultFile(row.results, row.number, int(row.first), row.structures))
                if row.results is None:
                    break
        return found

    def first_part(self, id_: str) -> Part:
        """The first part of the body of a job, as it was taken in."""
        columns = [chunks.c[name] for name in Part._fields]
        query = select(*columns).where(chunks.c.job == id_, chunks.c.number == 0)
        with self._database.read() as connection:
            return Part(*connection.execute(query).one())

    def _job(self, connection: Connection, row: Row[Any]) -> Job:
        now = self._database.now(connection)
        sums = connection.execute(
            select(
                func.coalesce(func.sum(chunks.c.answered), 0),
                func.coalesce(func.sum(chunks.c.failed), 0),
                func.coalesce(func.sum(chunks.c.result_bytes), 0),
            ).where(chunks.c.job == row.id)
        ).one()
        known = {name: value for name, value in row._mapping.items() if name in JOB_FIELDS}
        known |= {
            "query": [(name, value) for name, value in json.loads(row.query)],
            "prefix": bytes(row.prefix),
            "answered": int(sums[0]),
            "failed": int(sums[1]),
            "result_bytes": int(sums[2]),
            "under_way": _under_way(connection, row.id) if row.state == "running" else (),
            "rate": _rate(connection, row, int(sums[0]) + int(sums[1]), now),
            "now": now,
        }
        return Job(**known)


JOB_FIELDS = {field.name for field in fields(Job)}


def _numbered(id_: str) -> Subquery:
    """The chunks of a job, each with the number of its first structure."""
    before = func.sum(chunks.c.structures).over(order_by=chunks.c.number)
    columns = (chunks.c.results, chunks.c.structures, chunks.c.number, chunks.c.under_way)
    first = (before - chunks.c.structures).label("first")
    return select(*columns, first).where(chunks.c.job == id_).subquery()


def _under_way(connection: Connection, id_: str) -> tuple[UnderWay, ...]:
    """How far tasks are with structures of a job."""
    told = chunks.c.under_way.is_not(None) & (chunks.c.job == id_)
    if not connection.execute(select(func.count()).where(told)).scalar_one():
        return ()
    all_chunks = _numbered(id_)
    query = select(all_chunks).where(all_chunks.c.under_way.is_not(None))
    return tuple(
        UnderWay(int(row.first) + number, *stage)
        for row in connection.execute(query.order_by(all_chunks.c.number))
        for number, *stage in json.loads(row.under_way)
    )


def _row(job: str, number: int, part: Part) -> dict[str, Any]:
    return {"job": job, "number": number, "state": "waiting", **part._asdict()}


def _check_room(
    connection: Connection, size: int, most: int, most_bytes: int, caller: Caller | None
) -> None:
    waiting = select(func.count()).select_from(jobs).where(jobs.c.state.in_(OPEN))
    if caller is not None:
        own = waiting.where(jobs.c.owner == caller.name)
        share = max(1, int(caller.share * most))
        if connection.execute(own).scalar_one() >= share:
            raise RateLimited(
                f"{share} jobs of key '{caller.name}' have not ended, the most that it may have "
                "(share); try again later",
                FULL_RETRY,
            )
    if connection.execute(waiting).scalar_one() >= most:
        raise Overloaded(
            f"{most} jobs have not ended, the most allowed (max_jobs); try again later", FULL_RETRY
        )
    taken = bytes_taken(connection) + size
    if taken > most_bytes:
        raise Overloaded(
            f"the jobs would take {taken} bytes, at most {most_bytes} are allowed "
            "(max_jobs_bytes); try again when others have ended",
            FULL_RETRY,
        )


def bytes_taken(connection: Connection) -> int:
    """Of the disk: the inputs of jobs that have not ended, and all results."""
    inputs = select(func.coalesce(func.sum(jobs.c.input_bytes), 0)).where(jobs.c.state.in_(OPEN))
    results = select(func.coalesce(func.sum(chunks.c.result_bytes), 0))
    return int(connection.execute(inputs).scalar_one()) + int(
        connection.execute(results).scalar_one()
    )


def _rate(connection: Connection, row: Row[Any], ended: int, now: float) -> float | None:
    """Structures a second: of the chunks that ended last, from the first of them to the last; where
    there are few, of all that ended, from the job's start to now or its end.
    """
    if row.started is None or not ended:
        return None
    query = (
        select(chunks.c.ended, chunks.c.structures)
        .where(chunks.c.job == row.id, chunks.c.ended.is_not(None))
        .order_by(chunks.c.ended.desc())
        .limit(RECENT)
    )
    latest = connection.execute(query).all()
    seconds = (row.ended or now) - row.started
    if len(latest) == RECENT and row.ended is None:
        ended = sum(chunk.structures for chunk in latest[:-1])
        seconds = latest[0].ended - latest[-1].ended
    return ended / seconds if seconds > 0 else None


def remove(connection: Connection, id_: str) -> None:
    """Forget a job."""
    connection.execute(delete(chunks).where(chunks.c.job == id_))
    connection.execute(delete(jobs).where(jobs.c.id == id_))
