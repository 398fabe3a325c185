"""TrainingRange: what the training data of a model held, a part of its card."""

from typing import TypeVar

from ase.data import chemical_symbols
from pydantic import Field, field_validator

from app.atoms.oddities import Oddity
from app.atoms.surroundings import kind_of, pair_of
from app.store.certificate import Part

MOST_SURROUNDINGS = 20_000
"""Kinds of atoms that a card lists."""
OfElements = TypeVar(
    "OfElements", dict[str, float], dict[str, float] | None, tuple[str, ...] | None
)


class TrainingRange(Part):
    """What the training data held, so that it can be told what they did not.

    What is None is not known: cards from before a field was there, and data that cannot fill it.

    Attributes:
        most_atoms: of the largest structure.
        closest: Å, the shortest distance of each pair of elements, by names such as `C-H`, the one
            with the lower atomic number last.
        least_ratio: shortest distance over the sum of the two covalent radii of pairs that `closest`
            does not name, where these are of a sample of the data, which need not have all pairs.
            None: there were no others.
        farthest: Å, by element, the largest distance of an atom from its nearest neighbour, at most
            the cutoff.
        periodic: whether any structure was periodic.
        molecular: whether any structure was periodic in no direction.
        charges: total charges of structures of several atoms, in elementary charges, sorted.
        alone: elements of single atoms in open space.
        surroundings: kinds of atoms, by names such as `CX3H1` (a carbon with three neighbours
            within bond range, one of them a hydrogen), each with the least and the largest mean of
            distance over sum of covalent radii; None where data are too few to show all kinds.
        strongest: eV/Å, by element, the longest force; None where there were no forces.
        oddities: how many odd atoms of each sort 99.9 % of the structures have at most
            (`app.atoms.oddities`), of the carbons with room for a neighbour those beyond the charge.
    """

    most_atoms: int = Field(ge=1)
    closest: dict[str, float]
    farthest: dict[str, float]
    least_ratio: float | None = Field(default=None, gt=0)
    periodic: bool | None = None
    molecular: bool | None = None
    charges: tuple[int, ...] | None = None
    alone: tuple[str, ...] | None = None
    surroundings: dict[str, tuple[float, float]] | None = Field(
        default=None, max_length=MOST_SURROUNDINGS
    )
    strongest: dict[str, float] | None = None
    oddities: dict[Oddity, int] | None = None

    @field_validator("closest")
    @classmethod
    def _are_pairs(cls, closest: dict[str, float]) -> dict[str, float]:
        for name in closest:
            pair_of(name)
        return closest

    @field_validator("farthest", "strongest", "alone")
    @classmethod
    def _are_of_elements(cls, values: OfElements) -> OfElements:
        for symbol in values or ():
            if symbol not in chemical_symbols:
                raise ValueError(f"'{symbol:.20}' is no chemical symbol")
        return values

    @field_validator("surroundings")
    @classmethod
    def _are_kinds(
        cls, surroundings: dict[str, tuple[float, float]] | None
    ) -> dict[str, tuple[float, float]] | None:
        for name in surroundings or ():
            kind_of(name)
        return surroundings
