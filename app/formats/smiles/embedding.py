"""Geometries of a SMILES by RDKit; imported in the process of an `Embedder` alone.

Hydrogens are added, conformers made by ETKDGv3 (Wang, Witek, Landrum, Riniker, J. Chem. Inf. Model.
60, 2044 (2020)), and cleaned by MMFF94 (Halgren, J. Comput. Chem. 17, 490 (1996)).
"""

from typing import Any

from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from app.errors import InvalidFormat, InvalidStructure, StructureTooLarge
from app.formats.smiles.embedder import TakesLonger
from app.formats.smiles.fragments import place

CLEANING_STEPS = 1000
"""Most steps of MMFF; where it does not converge by then, the geometry is as good a start."""
NAMED = 5
"""Atoms that a message names."""


def embed(
    text: str, conformers: int, seed: int, most_atoms: int, most_work: float
) -> dict[str, Any]:
    """The conformers of a SMILES, with what it says of the molecule.

    Args:
        text: the SMILES.
        conformers: how many.
        seed: of the random numbers.
        most_atoms: that the molecule may have, hydrogens included.
        most_work: as of `make_conformers`.

    Returns:
        `numbers` (N,), `positions` (K, N, 3) in Å, `bonds` (kind, first, second), `charges`,
        `radicals` (unpaired electrons) and `masses` as pairs of atom and value, and `warnings`,
        pairs of code and message.

    Raises:
        InvalidFormat: it is no SMILES.
        InvalidStructure: it is no molecule, or no geometry of it is found.
        StructureTooLarge: it has too many atoms.
        TakesLonger: it is more work.
    """
    molecule = Chem.AddHs(_read(text))
    count = molecule.GetNumAtoms()
    if count > most_atoms:
        raise StructureTooLarge(f"the molecule has {count} atoms; at most {most_atoms} are allowed")
    if any(atom.GetAtomicNum() == 0 for atom in molecule.GetAtoms()):
        raise InvalidStructure("an atom '*', which is no element; name it")
    warnings = _open_stereo(molecule)
    found = make_conformers(molecule, conformers, seed, most_work)
    if found < conformers:
        told = (
            f"{found} of {conformers} conformers could be made; change the seed, or ask for fewer"
        )
        warnings.append(("conformers_missing", told))
    warnings += clean(molecule, seed)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    atoms = list(molecule.GetAtoms())
    return {
        "numbers": [atom.GetAtomicNum() for atom in atoms],
        "positions": [c.GetPositions().tolist() for c in molecule.GetConformers()],
        "bonds": [bond_of(bond) for bond in molecule.GetBonds()],
        "charges": _pairs([atom.GetFormalCharge() for atom in atoms]),
        "radicals": _pairs([atom.GetNumRadicalElectrons() for atom in atoms]),
        "masses": _pairs([atom.GetIsotope() for atom in atoms]),
        "warnings": warnings,
    }


def _read(text: str) -> Chem.Mol:
    molecule = Chem.MolFromSmiles(text, sanitize=False)
    if molecule is None:
        raise InvalidFormat("no SMILES; check brackets, ring closures and symbols")
    if problems := Chem.DetectChemistryProblems(molecule):
        raise InvalidStructure(f"no molecule: {problems[0].Message()}")
    if not molecule.GetNumAtoms():
        raise InvalidStructure("the SMILES has no atoms")
    return Chem.MolFromSmiles(text)


def make_conformers(molecule: Chem.Mol, conformers: int, seed: int, most_work: float) -> int:
    """Make them, from random coordinates where others lead nowhere; how many there are.

    Args:
        molecule: with hydrogens.
        conformers: how many.
        seed: of the random numbers.
        most_work: conformers times the cube of atoms, in proportion to which RDKit takes time.

    Raises:
        InvalidStructure: no geometry of it is found.
        TakesLonger: it is more work.
    """
    if conformers * molecule.GetNumAtoms() ** 3 > most_work:
        raise TakesLonger(f"{conformers} conformers of {molecule.GetNumAtoms()} atoms")
    options: Any = rdDistGeom.ETKDGv3()
    options.randomSeed = seed
    options.numThreads = 1
    for options.useRandomCoords in (False, True):
        if found := len(rdDistGeom.EmbedMultipleConfs(molecule, conformers, options)):
            return found
    raise InvalidStructure(
        "no geometry of the molecule is found; is its stereochemistry possible? Make 3D coordinates "
        "by other means"
    )


def _open_stereo(molecule: Chem.Mol) -> list[tuple[str, str]]:
    """The doubt about what the SMILES leaves to chance."""
    left = [
        int(element.centeredOn)
        for element in Chem.FindPotentialStereo(molecule)
        if element.specified == Chem.StereoSpecified.Unspecified
    ]
    if not left:
        return []
    shown = ", ".join(map(str, left[:NAMED])) + (", …" if len(left) > NAMED else "")
    told = (
        f"the SMILES leaves {len(left)} stereo elements open (centres or double bonds, number "
        f"{shown}); each conformer has one of their forms: state them by @ or /"
    )
    return [("stereo_chosen", told)]


def clean(molecule: Chem.Mol, seed: int) -> list[tuple[str, str]]:
    """Clean all geometries by MMFF94, fragments beside each other; the doubts about them.

    Args:
        molecule: with its conformers.
        seed: of the fragments' orientations.
    """
    fragments, doubts = len(Chem.GetMolFrags(molecule)), []
    known = rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule)
    if fragments > 1:
        place(molecule, CLEANING_STEPS if known else 0, seed)
        told = f"{fragments} fragments, whose places beside each other nobody has stated"
        doubts.append(("fragments_placed", told))
    elif known:
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(
            molecule, numThreads=1, maxIters=CLEANING_STEPS
        )
    if not known:
        told = "MMFF94 has no parameters for the molecule; its geometry is that of ETKDGv3 alone"
        doubts.append(("not_cleaned", told))
    return doubts


def bond_of(bond: Chem.Bond) -> tuple[int, int, int]:
    """Kind, and the two atoms."""
    return round(bond.GetBondTypeAsDouble()) or 8, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()


def _pairs(values: list[int]) -> list[tuple[int, int]]:
    return [(atom, value) for atom, value in enumerate(values) if value]
