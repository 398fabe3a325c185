"""Total charge and spin multiplicity from what a file says of single atoms."""

import numpy as np

from app.atoms.structure import Floats
from app.errors import InvalidStructure

TOLERANCE = 0.01
"""How far a sum of charges or moments may be from a whole number, rounded as they are in files."""


@np.errstate(over="ignore")
def total_charge(charges: Floats) -> int:
    """The sum of the atoms' charges.

    Args:
        charges: (N,), elementary charges.

    Raises:
        InvalidStructure: the sum is no whole number.
    """
    return _sum(charges, "charges of the atoms", "charge")


@np.errstate(over="ignore")
def sum_of_results(charges: Floats) -> int | None:
    """The sum of partial charges that a calculation gave, or None where it is no whole number.

    Args:
        charges: (N,), elementary charges.
    """
    if not np.isfinite(charges).all():
        return None
    return _whole(float(charges.sum()))


@np.errstate(over="ignore")
def multiplicity_of(moments: Floats) -> int | None:
    """2S+1 for the magnetic moments of the atoms, or None where all are zero.

    Args:
        moments: (N,) along the axis of the spin, or (N, 3), Bohr magnetons.

    Raises:
        InvalidStructure: moments that cancel each other or have no common axis, or whose sum is no
            whole number.
    """
    if not moments.any():
        return None
    if moments.ndim > 1:
        raise InvalidStructure(
            "magnetic moments with directions, which no model takes into account; leave them out"
        )
    unpaired = abs(_sum(moments, "magnetic moments of the atoms", "multiplicity"))
    if not unpaired:
        raise InvalidStructure(
            "magnetic moments that cancel each other, which no model takes into account; "
            "state the multiplicity, or leave them out"
        )
    return unpaired + 1


def _sum(values: Floats, name: str, remedy: str) -> int:
    total = float(values.sum()) if np.isfinite(values).all() else float("nan")
    whole = _whole(total)
    if whole is None:
        raise InvalidStructure(
            f"{name}: their sum is {total:.6g}, no whole number; state the {remedy}, or leave "
            "them out"
        )
    return whole


def _whole(total: float) -> int | None:
    near = np.isfinite(total) and abs(total - round(total)) <= TOLERANCE
    return round(total) if near else None
