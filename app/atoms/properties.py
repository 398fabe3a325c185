"""The table of what is predicted for a structure, from which everything else that lists it follows.

Rows say how predictions are split, checked and put together from pieces (`app.atoms`), what is
answered in JSON, in MessagePack and in their schema (`app.protocol`), and what stands in the
columns and on the comment line of extXYZ (`app.formats`). What is predicted anew is a row here and
a field of `Prediction` and `StructurePrediction`, or a property of theirs.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Name: TypeAlias = Literal["energy", "forces", "stress", "energies"]
"""What can be asked for."""


@dataclass(frozen=True, slots=True)
class Property:
    """One thing that is predicted.

    Attributes:
        name: of the field in predictions, answers and files.
        per: what has a value of its own. Of B structures with N atoms, there are B values or N.
        shape: of one value.
        unit: of the value.
        text: what the value is, besides shape and unit.
        pieces: how the values of a structure follow from those of its pieces. `sum`: they add up.
            `core`: each atom's is that of the piece in whose core it is. `edges`: they are sums
            over edges, so that pieces of a strictly local model add to the atoms of their halos,
            too; of other models they are as with `core`. None: it is not stored, but follows from
            what is.
        derivative: whether it takes a gradient of the energy.
        bulk_only: whether it is defined only of what is periodic in all three directions.
        answered: whether it is part of answers.
        beside: the property together with which it is answered; None where it is asked for itself.
        members: whether there is one for each of the M members of a committee, on a first axis.
    """

    name: str
    per: Literal["structure", "atom"]
    shape: tuple[int, ...]
    unit: str
    text: str = ""
    pieces: Literal["sum", "core", "edges"] | None = None
    derivative: bool = False
    bulk_only: bool = False
    answered: bool = True
    beside: Name | None = None
    members: bool = False


TABLE = (
    Property("energy", "structure", (), "eV", pieces="sum"),
    Property("forces", "atom", (3,), "eV/Å", pieces="edges", derivative=True),
    Property(
        "stress",
        "structure",
        (3, 3),
        "eV/Å³",
        "positive under tension; bulk only",
        pieces="sum",
        derivative=True,
        bulk_only=True,
    ),
    Property("energies", "atom", (), "eV", "the atoms' shares", pieces="core"),
    Property(
        "energy_std",
        "structure",
        (),
        "eV",
        "estimated error, of a committee the members' standard deviation; beside `energy`, where "
        "the model states it",
        beside="energy",
    ),
    Property(
        "forces_std",
        "atom",
        (),
        "eV/Å",
        "the same of each atom's force (root of the summed variances of its components); beside "
        "`forces`",
        beside="forces",
    ),
    Property("energy_variance", "structure", (), "eV²", pieces="sum", answered=False),
    Property("force_errors", "atom", (), "eV/Å", pieces="core", answered=False),
    Property("novelty", "atom", (), "", pieces="core", answered=False),
    Property("member_energy", "structure", (), "eV", pieces="sum", answered=False, members=True),
    Property(
        "member_forces",
        "atom",
        (3,),
        "eV/Å",
        pieces="edges",
        derivative=True,
        answered=False,
        members=True,
    ),
)
STORED = tuple(row for row in TABLE if row.pieces)
ANSWERED = tuple(row for row in TABLE if row.answered)
NAMES: tuple[Name, ...] = ("energy", "forces", "stress", "energies")
"""What can be asked for, in the order in which it is answered."""
DEFAULT: tuple[Name, ...] = ("energy", "forces", "stress")
"""What is answered where nothing is asked for by name."""
DERIVATIVES = frozenset(row.name for row in ANSWERED if row.derivative)
"""Where none of them is asked for, none is computed."""


def answered(names: tuple[Name, ...]) -> tuple[Property, ...]:
    """What is answered where some are asked for: these, and what goes beside them."""
    return tuple(row for row in ANSWERED if (row.beside or row.name) in names)
