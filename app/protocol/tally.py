"""What became of the structures: what is told at the end, and what a summary of it says."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from app.atoms.warnings import CODES
from app.protocol.faults import fault
from app.protocol.response import Answered, Result

CODE = re.compile(rf"(?:^|; )({'|'.join(CODES)}): ")
"""Where a warning begins on the comment line of an answer in extXYZ."""


class Outcome(NamedTuple):
    """What became of one structure.

    Attributes:
        refused: code of the reason, or None where it has an answer.
        warnings: codes.
        relaxed: why its relaxation ended, in a word; None where none was asked for.
    """

    refused: str | None = None
    warnings: tuple[str, ...] = ()
    relaxed: str | None = None

    @classmethod
    def of(cls, result: Result) -> Self:
        """That of a result."""
        if not isinstance(result, Answered):
            return cls(refused=fault(result).code)
        reason = result.relaxed.reason if result.relaxed else None
        return cls(None, tuple(w.code for w in result.warnings), _word(reason))

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """That of a result of a JSON document."""
        if fields["status"] == "error":
            return cls(refused=fields["error"]["code"])
        warnings = tuple(warning["code"] for warning in fields.get("warnings", ()))
        return cls(None, warnings, _word(fields.get("relaxed", {}).get("reason")))

    @classmethod
    def of_pairs(cls, pairs: Mapping[str, str]) -> Self:
        """That of a frame of extXYZ, from its comment line."""
        if pairs.get("status") == "error":
            return cls(refused=pairs.get("code"))
        warnings = tuple(CODE.findall(pairs.get("warnings", "")))
        return cls(None, warnings, _word(pairs["reason"]) if "relaxed" in pairs else None)


@dataclass(slots=True)
class Tally:
    """How many structures met which outcome."""

    structures: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    relaxed: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.structures += 1
        self.refused.update(() if outcome.refused is None else (outcome.refused,))
        self.warnings.update(outcome.warnings)
        self.relaxed.update(() if outcome.relaxed is None else (outcome.relaxed,))

    def merge(self, other: "Tally") -> None:
        """All of another one."""
        self.structures += other.structures
        self.refused.update(other.refused)
        self.warnings.update(other.warnings)
        self.relaxed.update(other.relaxed)

    def as_json(self) -> dict[str, Any]:
        """The counts, as a document."""
        return {
            "structures": self.structures,
            "refused": dict(self.refused),
            "warnings": dict(self.warnings),
            "relaxed": dict(self.relaxed),
        }

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        """Those of such a document."""
        counts = {name: Counter(fields[name]) for name in ("refused", "warnings", "relaxed")}
        return cls(fields["structures"], **counts)

    def lines(self) -> Iterable[str]:
        """For people: what was answered and refused, and how relaxations ended."""
        refused = self.refused.total()
        yield f"{self.structures - refused} of {counted(self.structures, 'structure')} answered"
        if refused:
            yield f"refused: {_listed(self.refused)}"
        if self.warnings:
            yield f"warnings: {_listed(self.warnings)}"
        if self.relaxed:
            others = Counter({k: n for k, n in self.relaxed.items() if k != "converged"})
            why = f" ({_listed(others)})" if others else ""
            ended = f"{self.relaxed['converged']} converged, {others.total()} did not"
            yield f"relaxations: {ended}{why}"


def counted(number: int, noun: str) -> str:
    """`1 structure`, `2 structures`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _word(reason: str | None) -> str | None:
    """A reason without its particulars."""
    return reason.partition(":")[0] if reason else None


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
