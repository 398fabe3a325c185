"""Drift of the total energy in molecular dynamics without a thermostat: 64 atoms of silicon at 300 K.

python -m recipes.crystals.nve --model sevennet-0 [--picoseconds 10]
"""

import argparse
import time

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from app.atoms.structure import Floats
from app.store.location import DEFAULT_MODEL, default_store, located
from app.training.distill.sampling import heat
from equipot import EquipotCalculator

STEP = 1.0
"""fs."""


def trajectory(atoms: Atoms, picoseconds: float, temperature: float = 300) -> Floats:
    """(n,) eV, total energies after each step.

    It begins with velocities of twice the temperature in K, half of which becomes potential energy.
    """
    heat(atoms, 2 * temperature, np.random.default_rng(0))
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, STEP * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(round(1000 * picoseconds / STEP))
    return np.array(energies)


def main() -> None:
    """Print drift, fluctuation and time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="`name` or `name@version`")
    parser.add_argument("--model-store", type=located, help="folder or URL of the models")
    parser.add_argument("--element", default="Si", help="of the crystal (Si)")
    parser.add_argument("--cells", type=int, default=2, help="cubic cells along each axis (2)")
    parser.add_argument("--picoseconds", type=float, default=10.0, help="(10)")
    options = parser.parse_args()
    atoms = bulk(options.element, cubic=True).repeat(options.cells)
    store = options.model_store or default_store()
    atoms.calc = EquipotCalculator(options.model, store, threads=1)
    began = time.process_time()
    energies = trajectory(atoms, options.picoseconds) / len(atoms)
    step = 1000 * (time.process_time() - began) / len(energies)
    times = np.arange(len(energies)) * STEP / 1000
    slope, start = np.polyfit(times, 1000 * energies, 1)
    rest = 1000 * energies - slope * times - start
    print(
        f"{options.model}: {len(atoms)} {options.element}, {options.picoseconds:g} ps: drift "
        f"{slope:.2g} meV an atom and ps, fluctuation {rest.std():.2g} meV an atom, "
        f"{atoms.get_temperature():.0f} K at the end, {step:.3g} ms of processor time a step"
    )


if __name__ == "__main__":
    main()
