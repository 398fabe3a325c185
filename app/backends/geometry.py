"""Geometry: what was found in the geometry of a structure, or of parts of it, before an evaluation."""

from collections.abc import Iterable, Iterator

from app.atoms.decomposition import Piece
from app.atoms.oddities import LEAST_ATOMS
from app.backends.findings import Around, Finding, Tables, close, joined, kinds, lonely
from app.backends.odd_atoms import OddAtoms

GROUPS = (close, lonely, kinds)
"""What finds something in a geometry; what each finds is one warning."""


class Findings:
    """The worst of each kind, and odd atoms: what can be sent from where it was found to where it is
    told.
    """

    def __init__(self) -> None:
        self._worst: tuple[dict[str, Finding], ...] = tuple({} for _ in GROUPS)
        self._odd = OddAtoms()

    def look(self, known: Tables, piece: Piece) -> None:
        """Compare the core of a piece with what training data held."""
        around = Around(piece)
        for finds, found in zip(GROUPS, self._worst, strict=True):
            _keep_worst(found, finds(known, around))
        if known.oddities is not None and piece.graph.n_whole[0] >= LEAST_ATOMS:
            self._odd.look(around)

    def add(self, others: "Findings") -> None:
        """What was found in other parts of the same structure."""
        for found, more in zip(self._worst, others._worst, strict=True):
            _keep_worst(found, more.items())
        self._odd.add(others._odd)

    def told(self, known: Tables, charge: int) -> Iterator[str]:
        """What was found, in words.

        Args:
            known: what training data held.
            charge: of the structure.
        """
        yield from (joined(found.values()) for found in self._worst if found)
        if known.oddities is not None:
            yield from self._odd.told(known.oddities, charge)


def _keep_worst(found: dict[str, Finding], more: Iterable[tuple[str, Finding]]) -> None:
    for name, finding in more:
        if name not in found or finding.rank > found[name].rank:
            found[name] = finding
