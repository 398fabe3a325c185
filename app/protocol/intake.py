"""Intake: the entries that files hold, read within the limits of their request."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from app.atoms.structure import Structure
from app.errors import InvalidRequest
from app.formats.notation import Smiles
from app.formats.registry import FORMATS, iter_frames
from app.protocol import counts
from app.protocol.request import Entry, RequestLimits

SMILES = "smiles"
UNSHOWN = ("xyz",)
"""Formats of bodies whose senders know what structure an answer is for: atom by atom what they have
sent. A file among the items of a document is shown whatever its format is.
"""


class Drawing(NamedTuple):
    """How geometries of SMILES are made.

    Attributes:
        conformers: of each.
        seed: of the random numbers.
    """

    conformers: int = 1
    seed: int = 1


def check_drawn(stated: Collection[str], kinds: Collection[str]) -> None:
    """Whether what is stated of geometries is of SMILES.

    Args:
        stated: names of what is.
        kinds: of all files that it is stated of, as far as they are known.

    Raises:
        InvalidRequest: none of them holds SMILES.
    """
    name = next((name for name in Drawing._fields if name in stated), None)
    if name is not None and kinds and SMILES not in kinds:
        raise InvalidRequest(
            f"{name}: is for SMILES, whose geometries are made here, and not for "
            f"{', '.join(sorted(set(kinds)))}; leave it out"
        )


class Intake:
    """Reads the files of one request, and stops where they are over a limit.

    Args:
        limits: of the request.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._structures = self._atoms = self._lines = 0

    def take(self, entry: Entry) -> Entry:
        """Count an entry, and give it back.

        Raises:
            StructureTooLarge: the request has more structures or atoms than it may have.
        """
        self._structures += entry.count
        self._limits.check_structures(self._structures)
        if isinstance(entry.structure, Structure):
            self._atoms += len(entry.structure)
            self._limits.check_atoms(self._atoms)
        return entry

    def entries(
        self, content: bytes, kind: str, drawing: Drawing, before: tuple[int, int] = (0, 0)
    ) -> Iterator[Entry]:
        """The entries of a file.

        Args:
            content: of it, not compressed.
            kind: its format.
            drawing: how geometries of SMILES are made.
            before: as for `iter_frames` of the registry.

        Raises:
            InvalidFormat: it cannot be read as a whole.
            InvalidRequest: an unknown format, or more conformers than allowed.
            StructureTooLarge: the request is over its limits with it.
        """
        if kind not in FORMATS:
            raise InvalidRequest(
                f"format: '{kind[:80]}' is unknown; known are {', '.join(FORMATS)}"
            )
        self._lines += content.count(b"\n") + content.count(b"\r")
        counts.check_lines(self._lines, self._limits.structures, self._limits.atoms)
        for frame in iter_frames(content, kind, before):
            entry = replace(Entry.of(frame), shown=kind not in UNSHOWN)
            if isinstance(entry.structure, Smiles):
                entry = replace(entry, structure=self.drawn(entry.structure, drawing))
            yield self.take(entry)

    def drawn(self, smiles: Smiles, drawing: Drawing) -> Smiles:
        """A SMILES with the conformers that are wanted of it.

        Raises:
            InvalidRequest: more conformers than allowed, or a number out of range.
        """
        most = self._limits.conformers
        if drawing.conformers > most:
            raise InvalidRequest(
                f"conformers: {drawing.conformers}; at most {most} are allowed (max_conformers)"
            )
        return replace(smiles, conformers=drawing.conformers, seed=drawing.seed)
