"""The minimum of GFN2-xTB from a molecule's own geometry."""

from recipes.measures import gfn2
from recipes.measures.cache import Record, key_of
from recipes.measures.molecules import Molecule


def key(molecule: Molecule) -> str:
    """The record's name in the cache."""
    return key_of(molecule.name, molecule.numbers, molecule.positions, molecule.charge)


def reference(molecule: Molecule) -> Record:
    """Energy and forces of the geometry as it stands, and the minimum from there."""
    energy, forces = gfn2.single_point(molecule.numbers, molecule.positions, molecule.charge)
    end = gfn2.minimum(molecule.numbers, molecule.positions, molecule.charge)
    return {
        "energy": energy,
        "forces": forces.round(6).tolist(),
        "minimum": end.positions.round(6).tolist(),
        "minimum_energy": end.energy,
        "steps": end.steps,
        "converged": end.converged,
    }
