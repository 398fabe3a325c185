"""Structures that a model of organic molecules has no business with, made from sound molecules."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from rdkit import Chem

from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from recipes.measures.databases import GEOMETRY, fragments, read
from recipes.measures.molecules import Array, Molecule

BOHR = 0.529177210903  # Å
CRUSHED = (0.7, 0.75, 0.8)
STRETCHED = (1.25, 1.4, 1.6)
FOREIGN = ("Li", "B", "Na", "Si", "Se", "Sn")
CRYSTALS = (
    ("C", "diamond", 3.567),
    ("Si", "diamond", 5.431),
    ("P", "sc", 2.4),
    ("S", "sc", 2.4),
    ("I", "fcc", 5.5),
    ("Br", "fcc", 5.2),
    ("Cl", "fcc", 4.9),
    ("N", "sc", 2.0),
    ("NaCl", "rocksalt", 5.64),
    ("BN", "zincblende", 3.615),
    ("CN", "zincblende", 3.6),
    ("HF", "zincblende", 4.5),
)
METALS = ("Fe", "Ni", "Cu", "Zn", "Ru", "Pd", "Pt", "Co", "Mn", "Ir")
BRANCHED, CH_BOND = Chem.MolFromSmarts("[!D1;!D2]"), Chem.MolFromSmarts("[#6][#1]")
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])


def made(molecules: Sequence[Molecule], count: int) -> Iterator[tuple[str, Structure]]:
    """Kind and structure, about `count` of each kind that is made from molecules."""
    kinds: dict[str, Callable[[Molecule, np.random.Generator], Structure]] = {
        "crushed": crushed,
        "stretched": stretched,
        "atom on another": collided,
        "unseen element": foreign,
        "elements swapped": swapped,
        "bohr taken for Å": lambda m, _: _scaled(m, 1 / BOHR),
        "Å taken for bohr": lambda m, _: _scaled(m, BOHR),
        "no hydrogens": lambda m, _: kept(m, lambda number: number > 1),
        "half of the hydrogens": halved,
        "hydrogen between two atoms": abstraction,
        "packed into a crystal": packed,
    }
    chosen = [molecule for molecule in molecules if suitable(molecule)][:count]
    for kind, make in kinds.items():
        for index, molecule in enumerate(chosen):
            yield kind, make(molecule, np.random.default_rng(index))
    for name, lattice, length in CRYSTALS:
        yield "crystal", from_ase(bulk(name, lattice, a=length, cubic=lattice != "sc") * (2, 2, 2))
    for metal in METALS:
        yield from (("metal complex", complex_(metal, ligand)) for ligand in ("Cl", "N", "O"))


def suitable(molecule: Molecule) -> bool:
    """Whether all that is made of molecules can be made of this one."""
    hydrogens = molecule.numbers.count(1)
    return hydrogens >= 4 and all(map(molecule.chemical.HasSubstructMatch, (BRANCHED, CH_BOND)))


def transition_states(folder: Path) -> Iterator[tuple[str, Structure]]:
    """The hydrogen abstractions of HTBH, as Psi4 has them."""
    for _, key, content in GEOMETRY.findall(read(folder / "HTBH.py")):
        if key.endswith("ts"):
            yield "hydrogen abstraction (HTBH)", fragments(content)[0]


def crushed(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """All distances shortened."""
    return _scaled(molecule, float(rng.choice(CRUSHED)))


def stretched(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """All distances lengthened."""
    return _scaled(molecule, float(rng.choice(STRETCHED)))


def collided(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """An atom moved to 0.5 Å from another one."""
    positions = molecule.positions.copy()
    one, other = rng.choice(len(positions), 2, replace=False)
    direction = rng.normal(size=3)
    positions[one] = positions[other] + 0.5 * direction / np.linalg.norm(direction)
    return _structure(molecule, positions)


def foreign(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """A heavy atom of another element in the place of one."""
    numbers = np.array(molecule.numbers)
    numbers[rng.choice(np.flatnonzero(numbers > 1))] = atomic_numbers[str(rng.choice(FOREIGN))]
    return Structure(numbers, molecule.positions, charge=molecule.charge)


def swapped(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """A hydrogen and a heavy atom with three neighbours or more have changed places."""
    numbers = np.array(molecule.numbers)
    crowded = [a.GetIdx() for a in molecule.chemical.GetAtoms() if a.GetDegree() > 2]
    one, other = rng.choice(crowded), rng.choice(np.flatnonzero(numbers == 1))
    numbers[[one, other]] = numbers[[other, one]]
    return Structure(numbers, molecule.positions, charge=molecule.charge)


def kept(molecule: Molecule, keep: Callable[[int], bool]) -> Structure:
    """Those atoms whose number is wanted."""
    numbers = np.array(molecule.numbers)
    chosen = np.array([keep(number) for number in molecule.numbers])
    return Structure(numbers[chosen], molecule.positions[chosen], charge=molecule.charge)


def halved(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """Half of the hydrogens, an even number, left out."""
    numbers = np.array(molecule.numbers)
    hydrogens = np.flatnonzero(numbers == 1)
    gone = rng.choice(hydrogens, 2 * max(1, len(hydrogens) // 4), replace=False)
    rest = np.delete(np.arange(len(numbers)), gone)
    return Structure(numbers[rest], molecule.positions[rest], charge=molecule.charge)


def abstraction(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """A C–H bond of 1.3 Å whose hydrogen is 1.25 Å from the oxygen of a hydroxide."""
    numbers, positions = np.array(molecule.numbers), molecule.positions.copy()
    bonds = molecule.chemical.GetSubstructMatches(CH_BOND)
    carbon, hydrogen = bonds[rng.integers(len(bonds))]
    axis = positions[hydrogen] - positions[carbon]
    axis /= np.linalg.norm(axis)
    side = np.cross(axis, rng.normal(size=3))
    side /= np.linalg.norm(side)
    positions[hydrogen] = positions[carbon] + 1.3 * axis
    oxygen = positions[hydrogen] + 1.25 * axis
    more = np.array([oxygen, oxygen + 0.97 * side])
    return Structure(
        np.concatenate([numbers, [8, 1]]),
        np.concatenate([positions, more]),
        charge=molecule.charge - 1,
    )


def packed(molecule: Molecule, rng: np.random.Generator) -> Structure:
    """A molecule in a periodic box, 2 Å from its images."""
    positions = molecule.positions - molecule.positions.min(axis=0)
    cell = np.diag(positions.max(axis=0) + 2.0)
    return Structure(
        np.array(molecule.numbers), positions, cell, np.ones(3, dtype=bool), molecule.charge
    )


def complex_(metal: str, ligand: str) -> Structure:
    """A metal in an octahedron of atoms."""
    length = covalent_radii[atomic_numbers[metal]] + covalent_radii[atomic_numbers[ligand]]
    return from_ase(Atoms([metal, *[ligand] * 6], np.vstack([np.zeros(3), length * OCTAHEDRON])))


def _scaled(molecule: Molecule, factor: float) -> Structure:
    return _structure(molecule, factor * molecule.positions)


def _structure(molecule: Molecule, positions: Array) -> Structure:
    return Structure(np.array(molecule.numbers), positions, charge=molecule.charge)
