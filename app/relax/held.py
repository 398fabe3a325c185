"""Internal coordinates that a relaxation holds: distances, angles and dihedral angles.

Their gradients: E. B. Wilson, J. C. Decius, P. C. Cross, Molecular Vibrations (1955); of dihedral angles,
A. Blondel, M. Karplus, J. Comput. Chem. 17, 1132 (1996). Forces lose their part along the gradient, and
after each step the coordinate is led back along it, as by SHAKE.
"""

import math
from dataclasses import dataclass

import numpy as np

from app.atoms.structure import Booleans, Floats
from app.errors import InvalidStructure

FLAT = 1e-3
"""Least sine of an angle that has a direction in which it grows, or that a dihedral angle may have."""
EXACT = 1e-9
"""Å or radians that are left of a coordinate that was led back."""
ATTEMPTS = 100
LONGEST = 0.2
"""Å or radians by which it is led back at a time."""


@dataclass(frozen=True, slots=True)
class Held:
    """An internal coordinate, and the value that it is held at.

    Attributes:
        atoms: two of a distance, three of an angle, four of a dihedral angle, by their numbers.
        value: Å, or radians.
    """

    atoms: tuple[int, ...]
    value: float

    def off(self, positions: Floats) -> float:
        """How far positions (N, 3) in Å are beyond the value; of dihedral angles within ±π.

        Raises:
            InvalidStructure: it is not defined there.
        """
        beyond = measure(positions[list(self.atoms)]) - self.value
        return (beyond + math.pi) % (2.0 * math.pi) - math.pi if len(self.atoms) == 4 else beyond

    def projected(self, forces: Floats, positions: Floats, fixed: Booleans | None) -> Floats:
        """(N, 3) forces without their part along the coordinate.

        Args:
            forces: (N, 3), zero on fixed atoms.
            positions: (N, 3), Å.
            fixed: (N,), atoms that do not move.

        Raises:
            InvalidStructure: as `off`.
        """
        rows, slopes = list(self.atoms), self._slopes(positions, fixed)
        along = float((forces[rows] * slopes).sum() / (slopes * slopes).sum())
        kept = forces.copy()
        kept[rows] -= along * slopes
        return kept

    def restored(self, positions: Floats, fixed: Booleans | None) -> Floats:
        """(N, 3), Å: the positions, led along the coordinate until it has its value; `projected` is defined there.

        Raises:
            InvalidStructure: that does not succeed, or all its atoms are fixed.
        """
        led = positions.copy()
        for _ in range(ATTEMPTS):
            beyond, slopes = self.off(led), self._slopes(led, fixed)
            if abs(beyond) < EXACT:
                return led
            step = min(max(beyond, -LONGEST), LONGEST)
            led[list(self.atoms)] -= step * slopes / (slopes * slopes).sum()
        raise InvalidStructure(f"atoms {self.named}: the coordinate cannot be brought to its value")

    @property
    def named(self) -> str:
        """Its atoms, for messages."""
        return "-".join(map(str, self.atoms))

    def _slopes(self, positions: Floats, fixed: Booleans | None) -> Floats:
        """(k, 3), by the positions of its atoms; zero of fixed ones."""
        slopes = gradient(positions[list(self.atoms)])
        if fixed is not None:
            slopes[fixed[list(self.atoms)]] = 0.0
            if not slopes.any():
                raise InvalidStructure(f"atoms {self.named} are all fixed; free one of them")
        return slopes


def measure(points: Floats) -> float:
    """The distance of two points in Å, the angle of three, or the dihedral angle of four in radians.

    Args:
        points: (k, 3), Å.

    Raises:
        InvalidStructure: three of four points are in a line.
    """
    if len(points) == 2:
        return _length(points[1] - points[0])
    if len(points) == 3:
        a, b = points[0] - points[1], points[2] - points[1]
        return math.atan2(_length(_product(a, b)), a @ b)
    _, g, _, a, b = _normals(points)
    return math.atan2(_product(b, a) @ g / _length(g), a @ b)


def gradient(points: Floats) -> Floats:
    """(k, 3), of `measure` by the points.

    Raises:
        InvalidStructure: three points are in a line.
    """
    if len(points) == 2:
        unit = (points[1] - points[0]) / _length(points[1] - points[0])
        return np.array([-unit, unit])
    if len(points) == 3:
        return _of_angle(points)
    f, g, h, a, b = _normals(points)
    length, aa, bb = _length(g), a @ a, b @ b
    inner = (f @ g) / (aa * length) * a - (h @ g) / (bb * length) * b
    first, last = -length / aa * a, length / bb * b
    return np.array([first, -first + inner, -last - inner, last])


def _of_angle(points: Floats) -> Floats:
    a, b = points[0] - points[1], points[2] - points[1]
    la, lb = _length(a), _length(b)
    a, b = a / la, b / lb
    cosine, sine = a @ b, _length(_product(a, b))
    if sine < FLAT:
        raise InvalidStructure(
            "the three atoms of an angle are in a line, where it has no direction"
        )
    first, last = (cosine * a - b) / (la * sine), (cosine * b - a) / (lb * sine)
    return np.array([first, -first - last, last])


def _normals(points: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Bonds F, G, H of four points, and the normals F × G and H × G of their planes."""
    f, g, h = points[0] - points[1], points[1] - points[2], points[3] - points[2]
    a, b = _product(f, g), _product(h, g)
    for bond, normal in ((f, a), (h, b)):
        if _length(normal) < FLAT * _length(bond) * _length(g):
            raise InvalidStructure(
                "three atoms of a dihedral angle are in a line, where it is not defined"
            )
    return f, g, h, a, b


def _product(left: Floats, right: Floats) -> Floats:
    """(3,), left × right; `np.cross` takes many times as long for a single pair."""
    (a, b, c), (x, y, z) = left.tolist(), right.tolist()
    return np.array([b * z - c * y, c * x - a * z, a * y - b * x])


def _length(vector: Floats) -> float:
    return math.sqrt(vector @ vector)
