"""Irreps of rotations and reflections, and the couplings between them, without torch or e3nn."""

import itertools
import math
from fractions import Fraction
from functools import cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Floats

Irrep = tuple[int, int]
"""Degree l and parity p = ±1."""


def width(irreps: list[Irrep]) -> int:
    """Number of components of one copy of each irrep."""
    return sum(2 * l + 1 for l, _ in irreps)


def slices(irreps: list[Irrep]) -> list[slice]:
    """Where each irrep's components lie in their concatenation."""
    ends = [0]
    for l, _ in irreps:
        ends.append(ends[-1] + 2 * l + 1)
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def harmonic_irreps(l_max: int, mirror: bool) -> list[Irrep]:
    """Irreps of the harmonics; without `mirror` all count as even, which leaves SO(3)."""
    return [(l, (-1) ** l if mirror else 1) for l in range(l_max + 1)]


def both_parities(l_max: int) -> list[Irrep]:
    """Irreps of the harmonics, then those of the other parity."""
    natural = harmonic_irreps(l_max, True)
    return natural + [(l, -p) for l, p in natural]


def couplings(left: Irrep, right: Irrep) -> set[Irrep]:
    """The irreps in the product of two."""
    (a, p), (b, q) = left, right
    return {(l, p * q) for l in range(abs(a - b), a + b + 1)}


@cache
def wigner_3j(a: int, b: int, c: int) -> Floats:
    """(2a+1, 2b+1, 2c+1) Wigner 3j symbols of real harmonics, of norm 1, in e3nn's order and signs."""
    complex_ones = _clebsch_gordan(a, b, c)
    q, r, s = _real_harmonics(a), _real_harmonics(b), _real_harmonics(c)
    real: Floats = np.einsum("ij,kl,mn,ikm->jln", q, r, s.conj(), complex_ones).real
    return real / np.linalg.norm(real)


def _clebsch_gordan(a: int, b: int, c: int) -> Floats:
    """(2a+1, 2b+1, 2c+1) ⟨a i b k | c m⟩ by Racah's formula (Varshalovich et al., Quantum Theory of
    Angular Momentum, 1988, 8.2.1).
    """
    f, out = factorial, np.zeros((2 * a + 1, 2 * b + 1, 2 * c + 1))
    shared = Fraction(
        (2 * c + 1) * f(c + a - b) * f(c - a + b) * f(a + b - c), factorial(a + b + c + 1)
    )
    for i, k in itertools.product(range(-a, a + 1), range(-b, b + 1)):
        m = i + k
        if abs(m) > c:
            continue
        square = shared * f(a + i) * f(a - i) * f(b + k) * f(b - k) * f(c + m) * f(c - m)
        total = Fraction(0)
        for n in range(a + b - c + 1):
            counts = (n, a + b - c - n, a - i - n, b + k - n, c - b + i + n, c - a - k + n)
            if min(counts) >= 0:
                total += Fraction((-1) ** n, math.prod(map(f, counts)))
        out[a + i, b + k, c + m] = math.sqrt(square) * float(total)
    return out


def _real_harmonics(l: int) -> NDArray[np.complex128]:
    """(2l+1, 2l+1): the real harmonics, in columns, as sums of the complex ones."""
    basis = np.zeros((2 * l + 1, 2 * l + 1), dtype=np.complex128)
    half = math.sqrt(0.5)
    basis[l, l] = 1
    for m in range(1, l + 1):
        basis[l - m, [l + m, l - m]] = half, -1j * half
        basis[l + m, [l + m, l - m]] = (-1) ** m * half, 1j * (-1) ** m * half
    return (-1j) ** l * basis
