"""Kept: how far a chunk is, as a file says it that any process can go on from."""

from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path

import ormsgpack

from app.errors import Cancelled
from app.jobs.leases import Progress
from app.jobs.records import Record, pack, unpack
from app.protocol.request import Entry
from app.protocol.response import Answered
from app.relax import RelaxationState


@dataclass(slots=True)
class Kept:
    """How far a chunk is.

    Attributes:
        names: ids of its structures.
        records: results by the structure's number in the chunk, packed.
        states: of relaxations that are under way.
        trying: the structure that is tried alone, and the steps that it had made before; -1 where
            none is.
        failed: how many of the results are errors.
    """

    names: list[str | None] = field(default_factory=list)
    records: dict[int, bytes] = field(default_factory=dict)
    states: dict[int, RelaxationState] = field(default_factory=dict)
    trying: tuple[int, int] = (-1, 0)
    failed: int = 0

    def __str__(self) -> str:
        return f"{len(self.records)} results, {len(self.states)} relaxations under way"

    def add(self, number: int, record: Record) -> None:
        """One structure has its result."""
        self.records[number] = pack([*record])
        self.states.pop(number, None)
        self.failed += not isinstance(record.result, Answered)

    @property
    def extent(self) -> tuple[int, int]:
        """How many results there are, and how many steps of what is under way."""
        return len(self.records), sum(state.steps for state in self.states.copy().values())

    def steps(self, number: int) -> int:
        """Of the relaxation of a structure, as far as they are kept."""
        return self.states[number].steps if number in self.states else 0

    @property
    def leading(self) -> list[bytes]:
        """The results from the first structure on, as far as there are any without a gap."""
        return [self.records[n] for n in takewhile(self.records.__contains__, count())]

    def cancelled(self) -> tuple[bytes, Progress]:
        """The results of a chunk that is not worked on any more, with an error in the place of each
        that is missing; how many there are without these.
        """
        error = Cancelled("the job was cancelled before this structure had a result")
        records = [
            self.records.get(number) or pack([*Record(Entry(name, error), error)])
            for number, name in enumerate(self.names)
        ]
        return pack(records), Progress(len(self.records) - self.failed, self.failed, True)

    def packed(self) -> bytes:
        """As bytes; may be called while states come in from other threads."""
        states = {number: pack(state) for number, state in self.states.copy().items()}
        fields = [self.names, self.records.copy(), states, self.trying, self.failed]
        return ormsgpack.packb(fields, option=ormsgpack.OPT_NON_STR_KEYS)

    @classmethod
    def read(cls, path: Path, with_states: bool = True) -> "Kept":
        """What a file says, or nothing where there is none.

        Args:
            path: of the file.
            with_states: whether those of relaxations are wanted.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return cls()
        names, records, states, trying, failed = ormsgpack.unpackb(
            data, option=ormsgpack.OPT_NON_STR_KEYS
        )
        known = {n: unpack(s) for n, s in states.items()} if with_states else {}
        return cls(names, records, known, tuple(trying), failed)
