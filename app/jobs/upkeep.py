"""What is done with jobs that have ended: webhooks are told of them, and in the end they are removed."""

from sqlalchemy import Connection, exists, func, or_, select, update

from app.jobs.database import Database
from app.jobs.folder import JobFolder
from app.jobs.job import OPEN, Job
from app.jobs.metrics import Census
from app.jobs.store import JobStore, bytes_taken, remove
from app.jobs.tables import chunks, jobs

FIRST_DELAY, GROWTH, TRIES = 10.0, 4.0, 6
"""Seconds until a webhook is told again, how they grow, and how often it is told: over about an hour.
"""


class Upkeep:
    """Ended jobs. Its methods block.

    Args:
        database: where they are.
        store: the same, job by job.
        folder: their files.
        seconds: that one is kept after its end.
        most_bytes: of all jobs together.
    """

    def __init__(
        self,
        database: Database,
        store: JobStore,
        folder: JobFolder,
        seconds: float,
        most_bytes: int,
    ) -> None:
        self._database, self._store, self._folder = database, store, folder
        self._seconds, self._most_bytes = seconds, most_bytes

    def tidy(self, job: str) -> None:
        """Keep of a job that has ended what its results are, and no more."""
        query = select(chunks.c.results).where(chunks.c.job == job, chunks.c.results.is_not(None))
        with self._database.read() as connection:
            kept = list(connection.execute(query).scalars())
        self._folder.tidy(job, kept)

    def remove_outdated(self) -> list[str]:
        """Remove jobs that are older than they are kept, and the oldest ones where all take too
        much; which these were. Files go first: what is killed in between goes on the next time.
        """
        with self._database.read() as connection:
            outdated = self._outdated(connection)
            known = set(connection.execute(select(jobs.c.id)).scalars())
        for job in outdated:
            self._folder.remove(job)
            with self._database.write() as connection:
                remove(connection, job)
        for job in self._folder.abandoned(known):
            self._folder.remove(job)
        return outdated

    def abandoned(self) -> list[str]:
        """Jobs that have ended, whose files are still as those of others, and on which nobody works
        any more.
        """
        with self._database.read() as connection:
            held = exists().where(
                chunks.c.job == jobs.c.id,
                chunks.c.state == "leased",
                chunks.c.lease_until >= self._database.now(connection),
            )
            query = select(jobs.c.id).where(jobs.c.state.not_in(OPEN), ~held)
            ended = list(connection.execute(query).scalars())
        return [job for job in ended if self._folder.input(job).exists()]

    def census(self) -> Census:
        """What there is now."""
        with self._database.read() as connection:
            states = select(jobs.c.state, func.count()).group_by(jobs.c.state)
            whole = select(func.sum(jobs.c.structures), func.min(jobs.c.created))
            parts = select(func.sum(chunks.c.answered), func.sum(chunks.c.failed)).join(
                jobs, jobs.c.id == chunks.c.job
            )
            is_open = jobs.c.state.in_(OPEN)
            structures, created = connection.execute(whole.where(is_open)).one()
            done, failed = (int(n or 0) for n in connection.execute(parts.where(is_open)).one())
            counts = {
                "done": done,
                "failed": failed,
                "left": int(structures or 0) - done - failed,
            }
            oldest = 0.0 if created is None else self._database.now(connection) - created
            jobs_now = {row[0]: row[1] for row in connection.execute(states)}
        return Census(jobs_now, counts, max(0.0, oldest))

    def _outdated(self, connection: Connection) -> list[str]:
        taken, now = bytes_taken(connection), self._database.now(connection)
        size = (
            select(chunks.c.job, func.sum(chunks.c.result_bytes).label("size"))
            .group_by(chunks.c.job)
            .subquery()
        )
        query = (
            select(jobs.c.id, jobs.c.ended, size.c.size)
            .join(size, size.c.job == jobs.c.id)
            .where(jobs.c.state.not_in(OPEN))
            .order_by(jobs.c.ended)
        )
        outdated = []
        for row in connection.execute(query):
            if row.ended > now - self._seconds and taken <= self._most_bytes:
                break
            outdated.append(row.id)
            taken -= int(row.size)
        return outdated

    def next_webhook(self) -> Job | None:
        """A job whose webhook is to be told now; until it is known to be told, it is told again
        after a while.
        """
        with self._database.write() as connection:
            now = self._database.now(connection)
            query = (
                select(jobs.c.id, jobs.c.webhook_tries)
                .where(jobs.c.state.not_in(OPEN), jobs.c.webhook_state == "waiting")
                .where(or_(jobs.c.webhook_next.is_(None), jobs.c.webhook_next < now))
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = connection.execute(query).first()
            if row is None:
                return None
            values = {
                "webhook_tries": row.webhook_tries + 1,
                "webhook_next": now + FIRST_DELAY * GROWTH**row.webhook_tries,
            }
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(values))
        return self._store.get(row.id)

    def told(self, job: str, succeeded: bool) -> None:
        """Note what came of telling a webhook; after the last time, it is given up."""
        with self._database.write() as connection:
            this = update(jobs).where(jobs.c.id == job)
            if succeeded:
                connection.execute(this.values(webhook_state="sent"))
            else:
                last = this.where(jobs.c.webhook_tries >= TRIES)
                connection.execute(last.values(webhook_state="failed"))
