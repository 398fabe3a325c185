"""What follows from an Allegro's hyperparameters alone: its irreps, and the tables of its products."""

from typing import Literal, TypeAlias

import numpy as np

from app.atoms.irreps import Irrep, couplings, harmonic_irreps, slices, width, wigner_3j
from app.atoms.structure import Floats, Integers

Parity: TypeAlias = Literal["full", "natural", "none"]
Path: TypeAlias = tuple[Irrep, Irrep, Irrep]
"""Irreps of the tensors, of the environment, and of what comes out."""

Entries: TypeAlias = tuple[Integers, Floats]
"""(dimensions, n) indices and (n,) values of a sparse tensor."""

SCALAR: Irrep = (0, 1)
NEGLIGIBLE = 1e-12
"""What is zero but for rounding."""


def tensor_irreps(l_max: int, num_layers: int, parity: Parity) -> list[list[Irrep]]:
    """Irreps of the tensors before each layer and after the last: all that can still reach the
    energy.

    The scalar comes first in every list.
    """
    harmonics = harmonic_irreps(l_max, parity != "none")
    parities = {"full": (1, -1), "natural": (), "none": (1,)}[parity]
    allowed = {(l, p) for l in range(l_max + 1) for p in parities} | set(harmonics)
    reach = [set(harmonics)]
    for _ in range(num_layers):
        reach.append({o for a in reach[-1] for b in harmonics for o in couplings(a, b)} & allowed)
    reach[-1] = {SCALAR}
    for i in range(num_layers - 1, 0, -1):
        useful = {a for a in reach[i] if any(reach[i + 1] & couplings(a, b) for b in harmonics)}
        reach[i] = useful | {SCALAR}
    return [
        harmonics,
        *(sorted(irreps, key=lambda irrep: (irrep[0], -irrep[1])) for irreps in reach[1:]),
    ]


def product_paths(ins: list[Irrep], harmonics: list[Irrep], outs: list[Irrep]) -> list[Path]:
    """The paths of a product of tensors with their environment; those to the scalar come first."""
    return [(a, b, o) for o in outs for a in ins for b in harmonics if o in couplings(a, b)]


def path_entries(
    paths: list[Path], ins: list[Irrep], harmonics: list[Irrep], outs: list[Irrep]
) -> Entries:
    """The couplings of the paths, where their components stand, as a sparse tensor (paths,
    environment, out, in).

    Scalar paths come first and have an output each; paths that share one are normalised by their
    number.
    """
    scalar_paths = sum(o == SCALAR for _, _, o in paths)
    at_in = dict(zip(ins, slices(ins), strict=True))
    at_environment = dict(zip(harmonics, slices(harmonics), strict=True))
    out_slices = slices([SCALAR] * scalar_paths + outs[1:])
    at_out = dict(zip(outs[1:], out_slices[scalar_paths:], strict=True))
    found = []
    for n, (a, b, o) in enumerate(paths):
        shared = 1 if o == SCALAR else sum(q == o for _, _, q in paths)
        where = out_slices[n] if o == SCALAR else at_out[o]
        coupling = wigner_3j(a[0], b[0], o[0]) * np.sqrt((2 * o[0] + 1) / shared)
        i, j, k = np.nonzero(np.abs(coupling) > NEGLIGIBLE)
        starts = (at_environment[b].start, where.start, at_in[a].start)
        places = [np.full_like(i, n), starts[0] + j, starts[1] + k, starts[2] + i]
        found.append((np.stack(places), coupling[i, j, k]))
    return np.concatenate([p for p, _ in found], axis=1), np.concatenate([v for _, v in found])


def path_basis(
    paths: list[Path], ins: list[Irrep], harmonics: list[Irrep], outs: list[Irrep]
) -> Floats:
    """(paths, environment, out, in): the same as a dense tensor."""
    places, values = path_entries(paths, ins, harmonics, outs)
    scalar_paths = sum(o == SCALAR for _, _, o in paths)
    basis = np.zeros((len(paths), width(harmonics), scalar_paths + width(outs[1:]), width(ins)))
    basis[tuple(places)] = values
    return basis


def harmonic_step(l: int) -> Entries:
    """(2l+1, 3, 2l+3): what makes the harmonics of degree l + 1 of those of l and those of 1."""
    step = wigner_3j(l, 1, l + 1)
    # along an axis, where all but the middle component of each degree are zero
    along = step[l, 1, l + 1] * np.sqrt(3 * (2 * l + 1))
    where = np.nonzero(np.abs(step) > NEGLIGIBLE)
    return np.stack(where), step[where] * (np.sqrt(2 * l + 3) / along)
