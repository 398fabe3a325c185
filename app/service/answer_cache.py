"""Answers that were given before: the same structure, asked of the same model, asks for no evaluation."""

import hashlib
import pickle
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered

if TYPE_CHECKING:  # the command line answers without the service's libraries
    from app.service.metrics import Metrics

EACH = 300
"""Bytes that an answer takes besides its own: its key, and its place in the order."""


class AnswerCache:
    """Answers by the digest of all that they depend on, within a number of bytes; those that nobody
    asked for the longest go first. Belongs to one event loop.

    An answer is kept as bytes, so that it takes no more than these, however large the batch was that
    it comes from, and is the same to the last bit whenever it is taken.

    Args:
        most: bytes.
        metrics: counts who found one.

    Attributes:
        size: bytes of those that are kept.
    """

    def __init__(self, most: int, metrics: "Metrics") -> None:
        self.size = 0
        self._most, self._metrics = most, metrics
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    @classmethod
    def of(cls, most: int, metrics: "Metrics") -> "AnswerCache | None":
        """A cache of so many bytes; none of 0."""
        return cls(most, metrics) if most else None

    def get(self, model: str, key: bytes) -> Answered | None:
        """The answer of a key, if it is kept.

        Args:
            model: `name@version`, that would give it.
            key: as `key_of` makes it.
        """
        found = key in self._kept
        self._metrics.cached.labels(model, "hit" if found else "miss").inc()
        if not found:
            return None
        self._kept.move_to_end(key)
        answered: Answered = pickle.loads(self._kept[key])  # our own bytes, which never left us
        return answered

    def keep(self, key: bytes, answered: Answered) -> None:
        """Keep an answer, and others as far as there is room."""
        if answered.relaxed is not None:
            answered = replace(answered, relaxed=replace(answered.relaxed, graph=None))
        content = pickle.dumps(answered, pickle.HIGHEST_PROTOCOL)
        if len(content) + EACH > self._most:
            return
        self._drop(key)
        self._kept[key] = content
        self.size += len(content) + EACH
        while self.size > self._most:
            self._drop(next(iter(self._kept)))
        self._metrics.cache_bytes.set(self.size)

    def _drop(self, key: bytes) -> None:
        if (content := self._kept.pop(key, None)) is not None:
            self.size -= len(content) + EACH


def key_of(
    potential: Potential, entry: Entry, structure: Structure, request: PredictRequest
) -> bytes:
    """What an answer depends on: the model to its last file, the structure to the last bit of its
    coordinates, doubts about how it was read, and what is asked.
    """
    asked: list[Any] = [
        potential.digest,
        structure.charge,
        structure.multiplicity,
        None if structure.fixed is None else structure.fixed.tobytes(),
        [(warning.code, warning.message) for warning in entry.warnings],
        None if request.relax is None else request.relax.model_dump(),
        _of_task(entry, request),
        request.derivatives,
        request.strict,
        request.on_ood,
        request.allow_odd_electrons,
    ]
    digest = hashlib.sha256(repr(asked).encode())
    for array in (structure.numbers, structure.positions, structure.cell, structure.pbc):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _of_task(entry: Entry, request: PredictRequest) -> tuple[str, dict[str, Any], str] | None:
    """What the answer of a task depends on: its options, and bonds that are stated."""
    if request.task is None:
        return None
    return request.task.kind.name, request.task.options.model_dump(), repr(entry.topology)
