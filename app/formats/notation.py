"""Smiles: the notation of a molecule, and how many conformers are wanted of it."""

from dataclasses import dataclass, field

from app.errors import InvalidFormat, InvalidRequest
from app.formats.text import short

LONGEST = 2000
"""Characters of a SMILES."""
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Smiles:
    """A molecule without a geometry.

    Attributes:
        text: its SMILES.
        conformers: how many geometries are wanted, at least 1.
        seed: of the random numbers that they are made from, 1 to 2³¹ − 1; the same seed, number and
            version of RDKit give the same geometries.
        line: of its file, from 1, for messages; None where it comes from none.

    Raises:
        InvalidFormat: the text is empty, has spaces in it, or is too long.
        InvalidRequest: a number out of range.
    """

    text: str
    conformers: int = 1
    seed: int = 1
    line: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.text or len(self.text) > LONGEST:
            raise InvalidFormat(f"a SMILES of {len(self.text)} characters; expected 1 to {LONGEST}")
        if len(self.text.split()) != 1 or not self.text.isprintable():
            raise InvalidFormat(f"'{short(self.text)}' is no SMILES, which is one word")
        if self.conformers < 1:
            raise InvalidRequest(f"conformers: {self.conformers}; at least 1 is expected")
        if not 1 <= self.seed <= LARGEST_SEED:
            raise InvalidRequest(f"seed: {self.seed}; expected 1 to {LARGEST_SEED}")

    def __str__(self) -> str:
        return f"{'' if self.line is None else f'line {self.line}: '}'{short(self.text)}'"
