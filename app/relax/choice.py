"""Which optimiser relaxes a structure."""

from app.atoms.structure import Structure
from app.errors import InvalidRequest
from app.relax.held import Held
from app.relax.internal import Internal
from app.relax.optimizers import Fire, Lbfgs, Optimizer, ScaledLbfgs
from app.relax.options import RelaxOptions

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "internal": Internal,
    "scaled-lbfgs": ScaledLbfgs,
    "lbfgs": Lbfgs,
    "fire": Fire,
}
MOST_INTERNAL = 300
"""Atoms of a structure in internal coordinates, whose steps take time with the cube of that."""


def optimizer_for(
    structure: Structure, options: RelaxOptions, held: Held | None = None
) -> Optimizer:
    """What moves a structure, before its first step.

    Where a coordinate is held, it is led back after each step: that of L-BFGS, without a model Hessian
    that knows nothing of it.

    Raises:
        InvalidRequest: the optimiser that is asked for does not take such a structure.
    """
    if options.optimizer == "auto" and held is not None:
        return Lbfgs()
    if options.optimizer == "auto":
        takes = len(structure) <= MOST_INTERNAL and not structure.is_bulk
        return Internal() if takes else ScaledLbfgs()
    if options.optimizer == "internal":
        _check_internal(structure, options)
    return OPTIMIZERS[options.optimizer]()


def _check_internal(structure: Structure, options: RelaxOptions) -> None:
    remedy = "leave it out, or set it to 'auto' or 'scaled-lbfgs'"
    if options.cell != "fixed":
        raise InvalidRequest(
            f"relax.optimizer: 'internal' does not move cells, and cell is '{options.cell}'; {remedy}"
        )
    if len(structure) > MOST_INTERNAL:
        raise InvalidRequest(
            f"relax.optimizer: 'internal' takes up to {MOST_INTERNAL} atoms, and there are "
            f"{len(structure)}; {remedy}"
        )
