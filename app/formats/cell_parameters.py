"""Cells from the lengths of their edges and the angles between these."""

import numpy as np

from app.atoms.structure import Floats
from app.errors import InvalidFormat


def cell_from(lengths_angles: Floats, place: str) -> Floats:
    """(3, 3) Å: the cell of three lengths in Å and three angles in degrees, the first vector along x
    and the second in the plane of x and y.

    Raises:
        InvalidFormat: there is no such cell; names the place.
    """
    lengths, angles = lengths_angles[:3], lengths_angles[3:]
    if not (np.isfinite(lengths_angles).all() and (lengths > 0).all()):
        raise InvalidFormat(f"{place}: edges of {lengths.tolist()} Å are none of a cell")
    if not ((angles > 0).all() and (angles < 180).all() and _closes(angles)):
        raise InvalidFormat(f"{place}: angles of {angles.tolist()}° are none of a cell")
    alpha, beta, gamma = _cosines(angles)
    sine = np.sqrt(1 - gamma**2)
    along_y = (alpha - beta * gamma) / sine
    directions = [[1, 0, 0], [gamma, sine, 0], [beta, along_y, np.sqrt(1 - beta**2 - along_y**2)]]
    return lengths[:, None] * np.array(directions)


def _closes(angles: Floats) -> bool:
    """Whether three angles are those of three vectors that lie in no plane."""
    cosines = _cosines(angles)
    return bool(1 + 2 * cosines.prod() - (cosines**2).sum() > 1e-9)


def _cosines(angles: Floats) -> Floats:
    """Of angles in degrees; exactly 0 for the right one."""
    return np.where(angles == 90, 0.0, np.cos(np.radians(angles)))
