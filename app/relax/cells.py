"""How a cell may change, as projectors of the force on its deformation gradient."""

import numpy as np

from app.atoms.structure import Floats, Structure
from app.errors import InvalidRequest
from app.relax.options import RelaxOptions

AXES = ("a", "b", "c")


def projector(structure: Structure, options: RelaxOptions) -> Floats:
    """(9, 9): onto the changes of the deformation gradient G, flattened, that the options allow.

    The cell is C = C₀ Gᵀ. A lattice vector k alone changes with δG = v ⊗ u_k, where u_k is column k
    of C₀⁻¹, and keeps its direction if v is the vector itself.

    Raises:
        InvalidRequest: there is no cell to relax, all its axes are fixed, or the options contradict
            each other.
    """
    if options.cell == "fixed":
        _refuse_cell_options(options)
        return np.zeros((9, 9))
    if not structure.is_bulk:
        raise InvalidRequest(
            "relax.cell: only a structure that is periodic in all three directions has a stress"
        )
    free = [k for k, axis in enumerate(AXES) if axis not in options.fixed_axes]
    if not free:
        raise InvalidRequest(
            "relax.fixed_axes: all three axes are fixed; leave one out, or set cell to false"
        )
    if options.cell == "isotropic":
        if len(free) < 3:
            raise InvalidRequest(
                "relax.fixed_axes: an isotropic cell changes along all axes; use cell 'lengths'"
            )
        return _onto([np.eye(3)])
    inverse = np.linalg.inv(structure.cell)
    moves = {k: [structure.cell[k]] if options.cell == "lengths" else list(np.eye(3)) for k in free}
    return _onto([np.outer(v, inverse[:, k]) for k in free for v in moves[k]])


def _refuse_cell_options(options: RelaxOptions) -> None:
    for name in ("fixed_axes", "pressure", "smax"):
        if getattr(options, name):
            raise InvalidRequest(
                f"relax.{name}: the cell is fixed; set cell to 'full', 'isotropic' or 'lengths'"
            )


def _onto(changes: list[Floats]) -> Floats:
    """The orthogonal projector onto the span of some (3, 3) changes."""
    basis = np.linalg.qr(np.stack([change.ravel() for change in changes], axis=1))[0]
    onto: Floats = basis @ basis.T
    return onto
