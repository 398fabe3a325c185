"""What can be asked, by name, as it stands in bodies and in queries."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class RelaxOptions(TypedDict, total=False):
    """How to relax; what is left out is as the service has it.

    Attributes:
        fmax: eV/Å; converged when no atom's force is longer.
        steps: the most steps.
        optimizer: in ASE's variants.
        cell: what of a cell may change.
        fixed_axes: lattice vectors that stay as they are.
        pressure: eV/Å³ that the cell relaxes under.
        smax: eV/Å³ that is left of its stress, in place of `fmax`.
    """

    fmax: float
    steps: int
    optimizer: Literal["lbfgs", "fire"]
    cell: bool | Literal["full", "isotropic", "lengths"]
    fixed_axes: list[Literal["a", "b", "c"]]
    pressure: float
    smax: float


class PredictOptions(TypedDict, total=False):
    """What is asked of all structures.

    Attributes:
        model: `name` or `name@version`; the service's default where not given, or of several defaults
            the one that is made for each structure.
        properties: some of `energy`, `forces`, `stress`, `energies`.
        strict: whether a warning is an error.
        on_ood: what becomes of what the model's training data never held.
        allow_odd_electrons: whether models of closed shells answer for radicals, with a warning.
    """

    model: str
    properties: list[Literal["energy", "forces", "stress", "energies"]]
    strict: bool
    on_ood: Literal["warn", "error"]
    allow_odd_electrons: bool


class AllOptions(PredictOptions, total=False):
    """What is asked of all structures, and how they are relaxed.

    Attributes:
        relax: true takes the service's defaults.
    """

    relax: bool | RelaxOptions


class RelaxCall(PredictOptions, RelaxOptions, total=False):
    """What is asked of all structures, and how they are relaxed, side by side."""


def query_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as parameters of a query."""
    fields = {name: value for name, value in options.items() if value is not None}
    relax = fields.pop("relax", False)
    if isinstance(relax, Mapping):
        fields |= {"relax": True, **relax}
    elif relax:
        fields["relax"] = True
    return {name: _word(value) for name, value in fields.items()}


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
