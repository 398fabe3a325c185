"""Admission: how much may be in the queue before new requests are turned away."""

import asyncio
import math
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.access.caller import Caller
from app.errors import Overloaded, RateLimited, Unavailable

RETRY_SECONDS = (1.0, 60.0)
SMALL = 64
"""A request of at most this part of the queue is a small one."""
KEPT = 4
"""This part of the queue is kept for small requests, so that bulk does not shut them out."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The most structures and atoms that may be admitted before new ones are turned away."""

    structures: int
    atoms: int

    def hold(self, structures: int, atoms: int, asked: tuple[int, int]) -> bool:
        """Whether so much may be admitted, a new request included.

        Args:
            structures: admitted, with those of the request.
            atoms: the same.
            asked: structures and atoms of the request alone.
        """
        small = asked[0] <= max(1, self.structures // SMALL) and asked[1] <= self.atoms // SMALL
        share = 1.0 if small else 1.0 - 1.0 / KEPT
        return structures <= share * self.structures and atoms <= share * self.atoms


class Admission:
    """How much is admitted, and whether more may be; belongs to one event loop."""

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self._closed = False
        self._structures = 0
        self._atoms = 0
        self._of: dict[Caller, tuple[int, int]] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._holders = 0
        self._free = asyncio.Event()
        self._free.set()
        self._speed = _Speed()

    @property
    def admitted(self) -> tuple[int, int]:
        """Structures and atoms that have a place in the queue."""
        return self._structures, self._atoms

    @contextmanager
    def admit(self, structures: int, atoms: int, caller: Hashable = None) -> Iterator[None]:
        """A place in the queue while the block lasts, however many evaluations it asks for.

        Args:
            structures: that are to be admitted.
            atoms: of all of them.
            caller: who asks; a `Caller` may have a share of the queue only.

        Raises:
            Overloaded: the queue is full, or the caller's share of it; says when to come back.
            Unavailable: the model is shutting down.
        """
        known = caller if isinstance(caller, Caller) else None
        if known is not None:
            self._check_share(known, structures, atoms)
        self.check_room(structures, atoms)
        self._count(known, structures, atoms)
        self._empty.clear()
        try:
            yield
        finally:
            self._count(known, -structures, -atoms)
            if not self._structures:
                self._empty.set()

    def check_room(self, structures: int = 1, atoms: int = 1) -> None:
        """Whether so much could be admitted now.

        Whatever is within a request's limits may enter an empty queue.

        Raises:
            Overloaded: the queue is full; says when to come back.
            Unavailable: the model is shutting down.
        """
        if self._closed:
            raise Unavailable("the service is shutting down; send the request to another instance")
        admitted = self._structures + structures, self._atoms + atoms
        if self._structures and not self.limits.hold(*admitted, (structures, atoms)):
            wait = self._speed.seconds(self._atoms)
            raise Overloaded(
                f"{self._structures} structures with {self._atoms} atoms are waiting, at most "
                f"{self.limits.structures} and {self.limits.atoms} may; try again in {wait:.0f} s",
                retry_after=wait,
            )

    def _check_share(self, caller: Caller, structures: int, atoms: int) -> None:
        """Whether a caller may have so much more; whoever has nothing in the queue may."""
        own_structures, own_atoms = self._of.get(caller, (0, 0))
        most = caller.share * self.limits.structures, caller.share * self.limits.atoms
        if not own_structures or (
            own_structures + structures <= most[0] and own_atoms + atoms <= most[1]
        ):
            return
        wait = self._speed.seconds(own_atoms)
        raise RateLimited(
            f"{own_structures} structures with {own_atoms} atoms of key '{caller.name}' are "
            f"waiting, at most {most[0]:.0f} and {most[1]:.0f} may (share); try again in "
            f"{wait:.0f} s",
            retry_after=wait,
        )

    def _count(self, caller: Caller | None, structures: int, atoms: int) -> None:
        self._structures += structures
        self._atoms += atoms
        if caller is None:
            return
        before = self._of.pop(caller, (0, 0))
        after = before[0] + structures, before[1] + atoms
        if after[0]:
            self._of[caller] = after

    def evaluated(self, atoms: int, seconds: float) -> None:
        """A batch is over; what is told to those who are turned away comes from it."""
        self._speed.add(atoms, seconds)

    @property
    def holders(self) -> int:
        """Requests that will ask for places until they end."""
        return self._holders

    @contextmanager
    def hold(self) -> Iterator[None]:
        """One who asks for places again and again; until the block ends, `let_go` waits."""
        self._holders += 1
        self._free.clear()
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._free.set()

    async def let_go(self) -> None:
        """Wait until nobody holds it, or until it is closed."""
        await self._free.wait()

    async def close(self) -> None:
        """Admit nobody any more, and wait until all have left."""
        self._closed = True
        self._free.set()
        await self._empty.wait()


class _Speed:
    """Atoms a second, as a running mean over batches; what Retry-After is estimated from."""

    def __init__(self) -> None:
        self._value = 0.0

    def add(self, atoms: int, seconds: float) -> None:
        latest = atoms / max(seconds, 1e-6)
        self._value = latest if not self._value else 0.8 * self._value + 0.2 * latest

    def seconds(self, atoms: int) -> float:
        """How long so many atoms take, rounded up, within `RETRY_SECONDS`."""
        shortest, longest = RETRY_SECONDS
        return min(
            max(float(math.ceil(atoms / self._value)) if self._value else shortest, shortest),
            longest,
        )
