"""Geometry: what was found in the geometry of a structure, or of parts of it, before an evaluation."""

from collections.abc import Iterator, Sequence

from app.atoms.decomposition import Piece
from app.atoms.graph import Graph
from app.atoms.oddities import Oddity
from app.backends.findings import Around, Finding, Tables, close, joined, kinds, lonely
from app.backends.odd_atoms import OddAtoms, odd_atoms

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
        _compare(known, Around.of_piece(piece), [self])

    def note(self, group: int, name: str, finding: Finding) -> None:
        """Keep one of `GROUPS`, by its name, if it is the worst of it."""
        found = self._worst[group]
        if name not in found or finding.rank > found[name].rank:
            found[name] = finding

    def note_odd(self, oddity: Oddity, atoms: Sequence[int]) -> None:
        """Keep atoms that are odd in one way."""
        self._odd.note(oddity, len(atoms), atoms)

    def add(self, others: "Findings") -> None:
        """What was found in other parts of the same structure."""
        for group, more in enumerate(others._worst):
            for name, finding in more.items():
                self.note(group, name, finding)
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


def compared(known: Tables, graph: Graph) -> list[Findings]:
    """What training data never held of each of the B structures of a graph, all at once."""
    found = [Findings() for _ in graph.n_atoms]
    _compare(known, Around.of_whole(graph), found)
    return found


def _compare(known: Tables, around: Around, found: Sequence[Findings]) -> None:
    for group, finds in enumerate(GROUPS):
        for structure, name, finding in finds(known, around):
            found[structure].note(group, name, finding)
    if known.oddities is not None:
        for structure, oddity, atoms in odd_atoms(around):
            found[structure].note_odd(oddity, atoms)
