"""Conformers of a molecule, and in which order their energies are."""

from collections.abc import Iterator

from rdkit import Chem

from recipes.measures import gfn2
from recipes.measures.cache import Record, key_of
from recipes.measures.embedding import conformers
from recipes.measures.molecules import Molecule
from recipes.measures.torsions import rotatable

MOLECULES, CONFORMERS = 100, 10
EMBEDDED, APART = 30, 0.5
FMAX = 0.02  # eV/Å; of energies, less is within 1 meV
LARGEST = 60  # atoms
ROTATABLE = range(3, 11)  # bonds


def choose(molecules: list[Molecule]) -> Iterator[Molecule]:
    """Molecules that may have enough conformers, in their order."""
    for molecule in molecules:
        small = len(molecule.numbers) <= LARGEST and abs(molecule.charge) <= 2
        if small and len(rotatable(molecule.chemical)) in ROTATABLE:
            yield molecule


def key(molecule: Molecule) -> str:
    """The record's name in the cache."""
    return key_of(molecule.name, molecule.numbers, molecule.positions, molecule.charge)


def reference(molecule: Molecule) -> Record:
    """Start geometries, energies of GFN2-xTB there, and at its minima from there."""
    starts = [p.round(6) for p in conformers(Chem.Mol(molecule.chemical), EMBEDDED, APART)]
    if len(starts) < CONFORMERS:
        return {"failed": f"{len(starts)} conformers of {CONFORMERS}"}
    ends = [
        gfn2.minimum(molecule.numbers, start, molecule.charge, FMAX)
        for start in starts[:CONFORMERS]
    ]
    return {
        "numbers": molecule.numbers,
        "charge": molecule.charge,
        "starts": [start.tolist() for start in starts[:CONFORMERS]],
        "start_energies": [end.start_energy for end in ends],
        "minima": [end.positions.round(6).tolist() for end in ends],
        "energies": [end.energy for end in ends],
        "converged": [end.converged for end in ends],
    }
