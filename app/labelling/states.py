"""Charge and multiplicity of a frame, as a calculator takes them: by parameters of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from ase import Atoms

from app.formats.ase_atoms import state_of

PARAMETERS = {"charge": ("charge",), "multiplicity": ("multiplicity", "mult")}
"""What calculators call them."""
DEFAULTS = {"charge": 0, "multiplicity": 1}


class StateSetter:
    """Tells a calculator what each frame states, and refuses what it cannot be told.

    A calculator takes a charge if `charge` is among its parameters, and a multiplicity likewise, as
    those of tblite and of ASE's interfaces to quantum chemistry programs do. What a frame does not
    state is as the calculator was built.

    Args:
        calculator: of ASE.
        options: that it was built with; what they state holds for all frames.
    """

    def __init__(self, calculator: Any, options: Mapping[str, Any]) -> None:
        self._calculator = calculator
        self._options = options
        built = {
            **dict(getattr(calculator, "default_parameters", None) or {}),
            **dict(getattr(calculator, "parameters", None) or {}),
        }
        self._built = {
            name: (parameter, built[parameter])
            for name, parameters in PARAMETERS.items()
            for parameter in parameters
            if parameter in built
        }

    def __call__(self, atoms: Atoms) -> None:
        """Set the calculator's charge and multiplicity to those of a frame.

        Raises:
            InvalidStructure: the frame states no whole number.
            ValueError: the calculator takes none, or its options state another one.
        """
        said = state_of(atoms)
        stated = {"charge": said.charge, "multiplicity": said.multiplicity}
        changes = dict(change for name in stated for change in self._change(name, stated[name]))
        if changes:
            self._calculator.set(**changes)

    def _change(self, name: str, value: int | None) -> Iterator[tuple[str, Any]]:
        """The parameter to set, where the calculator has it."""
        if name not in self._built:
            if value not in (None, DEFAULTS[name]):
                raise ValueError(
                    f"the frame states {name} {value}, but the calculator has no parameter {name}: "
                    "use one that has"
                )
            return
        parameter, built = self._built[name]
        if value is not None and self._options.get(parameter, value) != value:
            raise ValueError(
                f"the frame states {name} {value}, the calculator's options {built}: leave "
                f"{parameter} out of the options"
            )
        yield parameter, built if value is None else value
