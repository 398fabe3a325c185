"""Pace: how quickly jobs of a model went here, of which the next ones' time is told."""

import contextlib
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from app.atoms.structure import Structure
from app.jobs.database import Database
from app.jobs.tables import paces
from app.protocol.request import Entry
from app.protocol.response import Answered, Result

MEMORY = 20_000
"""Structures after which what was before counts for half."""
ENOUGH = 200
"""Structures from which on a pace is told."""


class Pace(NamedTuple):
    """What some structures took.

    Attributes:
        structures: how many had an answer.
        evaluations: of the model for all of them; of a relaxation, one more than its steps.
        work: atoms that were evaluated, each as often as it was.
        seconds: that it took, with all that is done beside evaluating.
    """

    structures: float = 0
    evaluations: float = 0
    work: float = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, entry: Entry, result: Result) -> "Pace":
        """Of one structure with its result, without its time."""
        if not isinstance(result, Answered) or not isinstance(entry.structure, Structure):
            return cls()
        times = 1 if result.relaxed is None else 1 + result.relaxed.steps
        return cls(1, times, times * len(entry.structure))

    def plus(self, other: "Pace") -> "Pace":
        """Of both together."""
        return Pace(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"{self.structures:.0f} structures of jobs"


class Paces:
    """The paces of models, in the database, so that all services and later ones know them.

    Args:
        database: of the jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, digest: str, relaxes: bool) -> Pace | None:
        """Of jobs of a model that relax, or do not; None where too few went through."""
        with self._database.read() as connection:
            row = connection.execute(
                select(*(paces.c[name] for name in Pace._fields)).where(
                    paces.c.digest == digest, paces.c.relaxes == relaxes
                )
            ).first()
        return Pace(*row) if row and row.structures >= ENOUGH and row.seconds > 0 else None

    def learn(self, digest: str, relaxes: bool, pace: Pace) -> None:
        """Some more went through."""
        if not pace.work:
            return
        this = (paces.c.digest == digest) & (paces.c.relaxes == relaxes)
        share = 0.5 ** (pace.structures / MEMORY)
        values = {name: paces.c[name] * share + value for name, value in pace._asdict().items()}
        with self._database.write() as connection:
            if connection.execute(update(paces).where(this).values(values)).rowcount:
                return
        # Two that are the first at once: the one that comes later is heard the next time.
        with contextlib.suppress(IntegrityError), self._database.write() as connection:
            first = {"digest": digest, "relaxes": relaxes, **pace._asdict()}
            connection.execute(insert(paces).values(first))
