"""Conformers of a molecule with a geometry, by RDKit; imported in the process of an `Embedder` alone.

Conformers are made as those of a SMILES are (`app.formats.smiles.embedding`), with the configuration
of the given geometry. Bonds that nobody states are found as by Kim and Kim, Bull. Korean Chem. Soc. 36,
1769 (2015).
"""

from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds, rdMolAlign

from app.errors import InvalidStructure
from app.formats.smiles.embedding import bond_of, clean, make_conformers

KINDS = {
    1: Chem.BondType.SINGLE,
    2: Chem.BondType.DOUBLE,
    3: Chem.BondType.TRIPLE,
    4: Chem.BondType.AROMATIC,
}
MOST_MATCHES = 10_000
"""Ways of laying a molecule upon itself that are tried for the smallest distance."""


def conformers(
    numbers: list[int],
    positions: list[list[float]],
    bonds: list[list[int]] | None,
    charges: list[tuple[int, int]],
    charge: int,
    count: int,
    seed: int,
    most_work: float,
) -> dict[str, Any]:
    """Conformers of a molecule, with its configuration.

    Args:
        numbers: (N,) atomic numbers, of all hydrogens as well.
        positions: (N, 3), Å.
        bonds: (kind, first, second); None where they are to be found.
        charges: formal charges of atoms, as pairs; where bonds are stated.
        charge: of the molecule, where they are not.
        count: how many are wanted.
        seed: of the random numbers.
        most_work: as of `make_conformers`.

    Returns:
        `positions` (K, N, 3) in Å, `bonds` and `charges` as above, and `warnings`, pairs of code and
        message.

    Raises:
        InvalidStructure: it is no molecule, or no bonds or conformers of it are found.
        TakesLonger: it is more work.
    """
    molecule = molecule_of(numbers, positions, bonds, charges, charge)
    warnings = []
    made = make_conformers(molecule, count, seed, most_work)
    if made < count:
        warnings.append(("conformers_missing", f"{made} of {count} conformers could be made"))
    warnings += clean(molecule, seed)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    atoms = enumerate(molecule.GetAtoms())
    return {
        "positions": [c.GetPositions().tolist() for c in molecule.GetConformers()],
        "bonds": [bond_of(bond) for bond in molecule.GetBonds()],
        "charges": [(i, atom.GetFormalCharge()) for i, atom in atoms if atom.GetFormalCharge()],
        "warnings": warnings,
    }


def compare(
    numbers: list[int],
    positions: list[list[float]],
    bonds: list[list[int]],
    charges: list[tuple[int, int]],
    candidates: list[list[list[float]]],
    energies: list[float],
    same_energy: float,
    same_rmsd: float,
) -> dict[str, Any]:
    """Which of some geometries of a molecule are conformers of it, and differ.

    Args:
        numbers: as above, and so are positions, bonds and charges, which say its configuration.
        positions: see above.
        bonds: see above.
        charges: see above.
        candidates: (K, N, 3), Å, by rising energy.
        energies: (K,), eV.
        same_energy: eV; candidates whose energies differ by less may be the same.
        same_rmsd: Å; they are, where their atoms without hydrogens on carbon differ by less, after the
            best rotation and exchange of atoms that are alike.

    Returns:
        `verdicts` (K,): `kept`, `stereo` or `duplicate`.
    """
    molecule = molecule_of(numbers, positions, bonds, charges, 0)
    configuration = _configuration(molecule, np.array(positions))
    kept: list[tuple[float, Chem.Mol]] = []
    verdicts = []
    for candidate, energy in zip(candidates, energies, strict=True):
        places = np.array(candidate)
        if _configuration(molecule, places) != configuration:
            verdicts.append("stereo")
            continue
        bare = _without_hydrogens_of_carbon(_placed(molecule, places))
        close = [other for e, other in kept if energy - e < same_energy]
        is_same = any(
            rdMolAlign.GetBestRMS(Chem.Mol(bare), other, maxMatches=MOST_MATCHES) < same_rmsd
            for other in close
        )
        verdicts.append("duplicate" if is_same else "kept")
        if not is_same:
            kept.append((energy, bare))
    return {"verdicts": verdicts}


def molecule_of(
    numbers: list[int],
    positions: list[list[float]],
    bonds: list[list[int]] | None,
    charges: list[tuple[int, int]],
    charge: int,
) -> Chem.Mol:
    """The molecule of a geometry, with its configuration.

    Raises:
        InvalidStructure: it is none.
    """
    editable = Chem.RWMol()
    formal = dict(charges)
    for number, atomic_number in enumerate(numbers):
        atom = Chem.Atom(atomic_number)
        atom.SetNoImplicit(True)
        atom.SetFormalCharge(formal.get(number, 0))
        editable.AddAtom(atom)
    for kind, first, second in bonds or ():
        if kind not in KINDS:
            raise InvalidStructure(
                f"a bond of kind {kind} between atoms {first} and {second}; send a SMILES"
            )
        editable.AddBond(first, second, KINDS[kind])
        if kind == 4:
            for end in (first, second):
                editable.GetAtomWithIdx(end).SetIsAromatic(True)
    molecule = _placed(editable.GetMol(), np.array(positions))
    if bonds is None:
        try:
            rdDetermineBonds.DetermineBonds(molecule, charge=charge, useHueckel=False)
        except ValueError as error:
            raise InvalidStructure(
                f"no bonds are found that fit geometry and charge {charge} ({error}); send a SMILES, or "
                "a file with bonds"
            ) from None
    Chem.SanitizeMol(molecule)
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule


def _placed(molecule: Chem.Mol, positions: Any) -> Chem.Mol:
    """A copy with one geometry."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(len(positions))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(positions, dtype=np.float64))
    copy.AddConformer(conformer)
    return copy


def _configuration(molecule: Chem.Mol, positions: Any) -> str:
    """The SMILES of a geometry, which says its centres and double bonds."""
    placed = _placed(molecule, positions)
    Chem.AssignStereochemistryFrom3D(placed, replaceExistingTags=True)
    smiles: str = Chem.MolToSmiles(Chem.RemoveHs(placed))
    return smiles


def _without_hydrogens_of_carbon(molecule: Chem.Mol) -> Chem.Mol:
    """The heavy atoms, and hydrogens on others than carbon."""
    editable = Chem.RWMol(molecule)
    for atom in reversed(list(editable.GetAtoms())):
        if atom.GetAtomicNum() == 1 and any(n.GetAtomicNum() == 6 for n in atom.GetNeighbors()):
            editable.RemoveAtom(atom.GetIdx())
    return editable.GetMol()
