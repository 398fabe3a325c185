"""Charge and multiplicity of a frame, as a calculator takes them: by parameters of its own."""

from collections.abc import Iterator
from typing import Any

from ase import Atoms

from app.formats.ase_atoms import state_of

DEFAULTS = {"charge": 0, "multiplicity": 1}


class StateSetter:
    """Tells a calculator what each frame states, and refuses what it cannot be told.

    A calculator takes a charge if `charge` is among its parameters, and a multiplicity likewise, as
    those of ASE, tblite, DFT-D and quantum chemistry programs do. What a frame does not state is as
    the calculator was built.
    """

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator
        parameters = {
            **dict(getattr(calculator, "default_parameters", None) or {}),
            **dict(getattr(calculator, "parameters", None) or {}),
        }
        self._built = {name: parameters[name] for name in DEFAULTS if name in parameters}

    def __call__(self, atoms: Atoms) -> None:
        """Set the calculator's charge and multiplicity to those of a frame.

        Raises:
            InvalidStructure: the frame states no whole number.
            ValueError: the calculator takes none, or was built with another one.
        """
        changes = dict(self._changes(atoms))
        if changes:
            self._calculator.set(**changes)

    def _changes(self, atoms: Atoms) -> Iterator[tuple[str, Any]]:
        said = state_of(atoms)
        for name, value in (("charge", said.charge), ("multiplicity", said.multiplicity)):
            built = self._built.get(name)
            if value is None:
                if name in self._built:
                    yield name, built
            elif name in self._built:
                if built is not None and built != value:
                    raise ValueError(
                        f"the frame states {name} {value}, the calculator was built with {built}: "
                        f"leave {name} out of the options"
                    )
                yield name, value
            elif value != DEFAULTS[name]:
                raise ValueError(
                    f"the frame states {name} {value}, but the calculator has no parameter {name}: "
                    "use one that has"
                )
