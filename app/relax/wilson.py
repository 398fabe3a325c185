"""Values and derivatives of internal coordinates (Wilson's B), of many structures at once.

Arrays have the components of points first: x, y and z, then the points of a primitive, then the
primitives.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from app.atoms.structure import Floats

Derived: TypeAlias = tuple[Floats, Callable[[], Floats]]
"""Values, (n,), and what makes their derivatives, (3 k, n), by the k points of each."""

LEAST = 1e-12
"""Least divisor: derivatives of straight angles are finite, and not to be used."""


def bonds(p: Floats) -> Derived:
    """Lengths, Å, of points p (3, 2, n)."""
    vector = p[:, 1] - p[:, 0]
    length = np.sqrt(_dot(vector, vector))

    def derivatives() -> Floats:
        unit = vector / length
        return np.concatenate([-unit, unit])

    return length, derivatives


def angles(p: Floats) -> Derived:
    """Angles, rad, at the second of points p (3, 3, n)."""
    (u, v), (u_length, v_length) = _arms(p)
    cosine, normal = _dot(u, v), cross(u, v)
    sine = np.maximum(np.sqrt(_dot(normal, normal)), LEAST)

    def derivatives() -> Floats:
        first = (cosine * u - v) / (u_length * sine)
        last = (cosine * v - u) / (v_length * sine)
        return np.concatenate([first, -first - last, last])

    return np.arctan2(sine, cosine), derivatives


def bends(p: Floats) -> Derived:
    """Sums of the unit vectors from the second of points p (3, 3, n) to the others.

    All x come first, then all y, then all z: there are three values of each bend.
    """
    (u, v), (u_length, v_length) = _arms(p)

    def derivatives() -> Floats:
        eye = np.eye(3)[:, :, None]
        first = (eye - u[:, None] * u) / u_length  # by the point, of the sum
        last = (eye - v[:, None] * v) / v_length
        return np.concatenate([first, -first - last, last]).reshape(9, -1)

    return (u + v).ravel(), derivatives


def torsions(p: Floats) -> Derived:
    """Torsions, rad, of chains of points p (3, 4, n).

    Blondel & Karplus, J. Comput. Chem. 17, 1132 (1996): nothing but a straight angle is singular.
    """
    f, g, h = p[:, 0] - p[:, 1], p[:, 1] - p[:, 2], p[:, 3] - p[:, 2]
    a, b = cross(f, g), cross(h, g)
    g_length = np.sqrt(_dot(g, g))

    def derivatives() -> Floats:
        a_by, b_by = a / np.maximum(_dot(a, a), LEAST), b / np.maximum(_dot(b, b), LEAST)
        first, last = -g_length * a_by, g_length * b_by
        inner = _dot(f, g) / g_length * a_by - _dot(h, g) / g_length * b_by
        return np.concatenate([first, inner - first, -inner - last, last])

    return np.arctan2(_dot(cross(b, a), g), _dot(a, b) * g_length), derivatives


DERIVED = {"bonds": bonds, "angles": angles, "bends": bends, "torsions": torsions}


def cross(left: Floats, right: Floats) -> Floats:
    """(3, n) vector products."""
    product = np.empty_like(left)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        product[i] = left[j] * right[k] - left[k] * right[j]
    return product


def _dot(left: Floats, right: Floats) -> Floats:
    product: Floats = left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
    return product


def _arms(p: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Unit vectors from the second point to the others, and the distances."""
    u, v = p[:, 0] - p[:, 1], p[:, 2] - p[:, 1]
    u_length, v_length = np.sqrt(_dot(u, u)), np.sqrt(_dot(v, v))
    return (u / u_length, v / v_length), (u_length, v_length)
