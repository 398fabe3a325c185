"""Record: one structure as it is written to a file, and the protocol of those who write it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.atoms.structure import Structure
from app.formats.info_keys import OWN_KEYS, RESULT_KEYS
from app.formats.topology import Topology


@dataclass(frozen=True, slots=True)
class Record:
    """One structure with what was computed for it, or why nothing was.

    Attributes:
        structure: atoms and cell, relaxed where that was asked; None where what was sent is no
            structure.
        id: what its sender calls it.
        values: what is predicted, by the names of `app.atoms.properties`, in their units.
        remarks: what else its file says of it.
        answer: what the answer says of itself, by the keys of `app.formats.info_keys`: `model` and
            `digest`; of a relaxation `relaxed`, `initial_energy`, `fmax`, `steps`, `converged`,
            `criterion` and `reason`; `warnings`; and of a failure `status`, `code` and `message`.
        topology: bonds and the states of single atoms, where its file states them.
    """

    structure: Structure | None
    id: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    remarks: Mapping[str, object] = field(default_factory=dict)
    answer: Mapping[str, object] = field(default_factory=dict)
    topology: Topology | None = None

    @property
    def kept(self) -> dict[str, object]:
        """The remarks that cannot be taken for what was computed, or for the answer's own words."""
        taken = OWN_KEYS | RESULT_KEYS
        return {key: value for key, value in self.remarks.items() if key.lower() not in taken}


class Writer(Protocol):
    """Writes records one after the other; belongs to one file.

    The file is what `begin`, each `add` and `end` give, in this order. No more than a bounded part
    of it is ever kept back.
    """

    def begin(self) -> bytes:
        """What stands before the first record."""
        ...

    def add(self, record: Record) -> bytes:
        """The next record."""
        ...

    def end(self) -> bytes:
        """What stands behind the last one."""
        ...


class TextWriter(ABC):
    """Writes records that need nothing before, between or behind them."""

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def add(self, record: Record) -> bytes:
        """The next record."""
        return self.text(record).encode()

    @abstractmethod
    def text(self, record: Record) -> str:
        """One record."""

    def end(self) -> bytes:
        """Nothing."""
        return b""
