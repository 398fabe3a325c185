"""Stages: how far a task is, as the service tells while it goes on."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a task is.

    Attributes:
        name: what is being done, as `displaced copies`; `structures` where there are many of these.
        done: so many of them.
        total: of so many; None where that is not known, as of the steps of a relaxation.
        structure: number of the structure, from 0, of a job; None where there is one alone.
    """

    name: str
    done: int
    total: int | None = None
    structure: int | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """That of the service's fields."""
        return cls(fields["stage"], fields["done"], fields["total"], fields.get("structure"))

    def __str__(self) -> str:
        total = "" if self.total is None else f" of {self.total}"
        whose = "" if self.structure is None else f"structure {self.structure}: "
        return f"{whose}{self.name} {self.done}{total}"


Progress: TypeAlias = bool | Callable[[Stage], None]
"""Whether a bar says how far something is, or who is told."""


def events(lines: Iterator[bytes]) -> Iterator[tuple[str, Any]]:
    """Name and data of server-sent events in whole lines."""
    name = ""
    for line in lines:
        if line.startswith(b"event: "):
            name = line.removeprefix(b"event: ").decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line.removeprefix(b"data: "))


class StageReader:
    """Reads the events of a task of one structure.

    Attributes:
        answer: of the service, once it is there.
    """

    answer: Mapping[str, Any] | None = None

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Stage]:
        """Stages in what has come."""
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        for event in whole:
            for name, fields in events(iter(event.split(b"\n"))):
                if name == "step":
                    yield Stage("relaxation", fields["steps"])
                elif name == "progress":
                    yield Stage.of(fields)
                elif name == "end":
                    self.answer = fields
