"""Structures to label: those that are given, distorted, and where a model goes from them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin

from equipot import InputError, OutOfDomainWarning

LARGEST_SHIFT = 0.2
"""Å; standard deviation of the largest displacements."""
LARGEST_STRAIN = 0.06
"""Of a cell's length or shear."""
FRICTION = 0.02
"""1/fs."""
WILD = 30.0
"""eV/Å; a trajectory ends where a force is larger."""


def distorted(seeds: Sequence[Atoms], count: int, random: np.random.Generator) -> list[Atoms]:
    """The given structures in turn, their atoms displaced and their cells strained at random.

    Args:
        seeds: to begin from.
        count: how many to make; the first ones are the given structures as they are.
        random: where the numbers come from.
    """
    made = []
    for number in range(count):
        atoms = _bare(seeds[number % len(seeds)])
        if number >= len(seeds):
            if atoms.pbc.all():
                strain = random.uniform(-LARGEST_STRAIN, LARGEST_STRAIN, (3, 3))
                deformation = np.eye(3) + 0.5 * (strain + strain.T)
                atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            amplitude = random.uniform(0.0, LARGEST_SHIFT)
            atoms.positions += random.normal(scale=amplitude, size=atoms.positions.shape)
        made.append(atoms)
    return made


def visited(
    seeds: Sequence[Atoms],
    calculator: Calculator,
    temperatures: Sequence[float],
    count: int,
    steps: int,
    timestep: float,
    random: np.random.Generator,
) -> list[Atoms]:
    """Where Langevin dynamics of a model lead from the given structures, at equal intervals.

    Each structure gets each temperature, in turn, until there are enough. A trajectory in which a
    force becomes larger than 30 eV/Å, or which the model cannot follow, ends there: its last frame
    is among the results, since there is something to learn of it.

    Args:
        seeds: to begin from.
        calculator: the model.
        temperatures: K.
        count: how many to make.
        steps: between two of them.
        timestep: fs.
        random: where the numbers come from.
    """
    walks = [(seed, temperature) for temperature in temperatures for seed in seeds]
    share = -(-count // len(walks))
    found: list[Atoms] = []
    with exploring():
        for seed, temperature in walks:
            wanted = min(share, count - len(found))
            found += _walk(seed, calculator, temperature, wanted, steps, timestep, random)
    return found


def _walk(
    seed: Atoms,
    calculator: Calculator,
    temperature: float,
    count: int,
    steps: int,
    timestep: float,
    random: np.random.Generator,
) -> Iterator[Atoms]:
    atoms = _bare(seed)
    atoms.calc = calculator
    heat(atoms, temperature, random)
    dynamics = Langevin(
        atoms,
        timestep * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=random,
    )
    for _ in range(count):
        try:
            dynamics.run(steps)
            strongest = float(np.abs(atoms.get_forces()).max())
        except InputError:
            return
        yield _bare(atoms)
        if not strongest < WILD:
            return


@contextmanager
def exploring() -> Iterator[None]:
    """Where a model is meant to leave what it was trained on: it does not warn of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfDomainWarning)
        yield


def heat(atoms: Atoms, temperature: float, random: np.random.Generator) -> None:
    """Give atoms the momenta of a temperature in K, without drift of the whole."""
    masses = atoms.get_masses()[:, None]
    momenta = random.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * temperature)
    momenta -= masses / masses.sum() * momenta.sum(0)
    atoms.set_momenta(momenta)


def _bare(atoms: Atoms) -> Atoms:
    """A copy of what a label depends on."""
    kept = {key: atoms.info[key] for key in ("charge", "spin") if key in atoms.info}
    return Atoms(
        atoms.numbers, atoms.positions.copy(), cell=atoms.cell.copy(), pbc=atoms.pbc, info=kept
    )
