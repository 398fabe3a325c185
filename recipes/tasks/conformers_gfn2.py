"""`conformers` beside a search by brute force, both with GFN2-xTB in the place of the model.

    OMP_NUM_THREADS=1 python -m recipes.tasks.conformers_gfn2

The search turns every bond that can be turned, but for those to methyl groups, in even steps, relaxes each
combination by ASE, and keeps the lowest one whose bonds are those of the molecule. Needs tblite.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.optimize import BFGS
from rdkit import Chem
from rdkit.Chem import AllChem, rdMolTransforms

from app.atoms.structure import Structure
from app.backends import Backend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.formats.notation import Smiles
from app.formats.smiles import Embedder
from app.relax import Safeguards
from app.relax.bonds import changed_bonds
from app.store.location import default_store, open_store
from app.tasks import TASKS, Asking
from app.tasks.conformers.conformers import ConformersValue
from recipes.tasks.oracle import Oracle

MOLECULES = {
    "pentane": "CCCCC",
    "1-propanol": "CCCO",
    "2-butanol": "CC[C@H](C)O",
    "ethylene glycol": "OCCO",
    "glycine": "NCC(=O)O",
}
PATIENCE = 120.0
"""Seconds that RDKit may take."""
CLOSE = 0.6
"""Å between two atoms of a geometry that is not looked at."""


def main() -> None:
    """Search, ask, and print both."""
    from tblite.ase import TBLite

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=float, default=60.0, help="degrees of the search (60)")
    options = parser.parse_args()
    calculator = partial(TBLite, method="GFN2-xTB", verbosity=0)
    oracle = Oracle(open_store(default_store()).load("lennard-jones").card, calculator)
    print(
        "| | geometries of the search | its lowest energy, eV | by `conformers`, above that, meV | "
        "conformers |\n|---|---|---|---|---|"
    )
    with closing(Embedder()) as embedder:
        for name, smiles in MOLECULES.items():
            lowest, searched = searched_by_force(smiles, calculator, options.step)
            value = asked(oracle, embedder, smiles)
            above = 1e3 * (value.conformers[0].energy_eV - lowest)
            row = f"| {name} | {searched} | {lowest:.4f} | {above:+.1f} | {value.n_distinct} |"
            print(row, flush=True)


def searched_by_force(
    smiles: str, calculator: Callable[[], Calculator], step: float
) -> tuple[float, int]:
    """eV of the lowest geometry that is found by force, and how many were relaxed.

    Args:
        smiles: of a molecule with its configurations.
        calculator: makes one of ASE's.
        step: degrees between two values of a dihedral angle.
    """
    energies = []
    for atoms in grid(smiles, step):
        given = structure_of(atoms)
        atoms.calc = calculator()
        BFGS(atoms, logfile=None).run(fmax=0.01, steps=1000)
        changed = changed_bonds(given, structure_of(atoms))
        energies.append(np.inf if changed else atoms.get_potential_energy())
    return min(energies), len(energies)


def grid(smiles: str, step: float) -> Iterator[Atoms]:
    """A molecule, with its bonds turned in all combinations."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    AllChem.MMFFOptimizeMolecule(molecule)
    conformer, rotors = molecule.GetConformer(), list(turned(molecule))
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    for angles in product(np.arange(0.0, 360.0, step) + step / 2, repeat=len(rotors)):
        for rotor, angle in zip(rotors, angles, strict=True):
            rdMolTransforms.SetDihedralDeg(conformer, *rotor, float(angle))
        atoms = Atoms(numbers, conformer.GetPositions())
        distances = atoms.get_all_distances() + 10 * np.eye(len(atoms))
        if distances.min() > CLOSE:
            yield atoms


def turned(molecule: Chem.Mol) -> Iterator[tuple[int, int, int, int]]:
    """Four atoms along each single bond outside of rings that is none to a methyl group."""
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        if bond.IsInRing() or bond.GetBondType() != Chem.BondType.SINGLE:
            continue
        if any(end.GetDegree() == 1 or is_methyl(end) for end in ends):
            continue
        (a, b), (c, d) = (beside(end, other) for end, other in (ends, ends[::-1]))
        yield a, b, d, c


def is_methyl(atom: Chem.Atom) -> bool:
    """Whether nothing but hydrogens and one other atom are bound to a carbon."""
    heavy = sum(other.GetAtomicNum() > 1 for other in atom.GetNeighbors())
    return bool(atom.GetAtomicNum() == 6 and heavy == 1)


def beside(atom: Chem.Atom, other: Chem.Atom) -> tuple[int, int]:
    """A neighbour of an atom that is not the other one, heavy where there is such; and the atom."""
    around = [each for each in atom.GetNeighbors() if each.GetIdx() != other.GetIdx()]
    return max(around, key=lambda each: each.GetAtomicNum()).GetIdx(), atom.GetIdx()


def structure_of(atoms: Atoms) -> Structure:
    """Atoms of a molecule, as the engine has them."""
    return Structure(atoms.numbers, atoms.positions)


def asked(backend: Backend, embedder: Embedder, smiles: str, **options: Any) -> ConformersValue:
    """What `conformers` finds of a molecule."""
    drawn = embedder.embed(Smiles(smiles), 1000, PATIENCE)
    kind = TASKS["conformers"]

    async def chemist(question: Mapping[str, Any], what: str) -> dict[str, Any]:
        return await asyncio.to_thread(embedder.ask, question, what, PATIENCE)

    async def found() -> ConformersValue:
        potential = Potential(backend, "", Budget(4096, 10**6, 64), PotentialOptions())
        potential.start()
        asking = Asking(potential, None, Safeguards(), topology=drawn.topology, chemist=chemist)
        try:
            with potential.admission.admit(1, 1):
                done = await kind.run(asking, drawn.structures[0], kind.options(**options))
        finally:
            await potential.stop()
        assert isinstance(done.value, ConformersValue)
        return done.value

    return asyncio.run(found())


if __name__ == "__main__":
    main()
