"""Calculators that misbehave on chosen frames, imported by the workers of `test_label.py`."""

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from ase.calculators.lj import LennardJones


class Odd(LennardJones):
    """Lennard-Jones that looks at `info["do"]` first.

    Args:
        log: file that gets one line per calculation.
    """

    def __init__(self, log: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.log = log
        self.converged = True

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{os.environ.get('OMP_NUM_THREADS')}\n")
        super().calculate(atoms, properties, system_changes)
        getattr(self, str(atoms.info.get("do", "nothing")))()

    def nothing(self) -> None:
        self.converged = True

    def slow(self) -> None:
        time.sleep(0.3)

    def hang(self) -> None:
        time.sleep(600)

    def crash(self) -> None:
        os._exit(9)

    def fail(self) -> None:
        raise CalculationFailed("the charges\ndo not converge")

    def wander(self) -> None:
        self.converged = False

    def explode(self) -> None:
        self.results["forces"] = np.full_like(self.results["forces"], np.nan)


class Dead(Calculator):
    implemented_properties = ("energy", "forces")

    def __init__(self) -> None:
        os._exit(5)


class Charged(LennardJones):
    """Lennard-Jones with 10 eV more for each elementary charge."""

    default_parameters: ClassVar = {
        **LennardJones.default_parameters,
        "charge": None,
        "multiplicity": None,
    }

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] += 10.0 * (self.parameters.charge or 0)


class OtherNames(LennardJones):
    default_parameters: ClassVar = {**LennardJones.default_parameters, "charge": 0, "mult": 1}
