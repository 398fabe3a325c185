"""What counts as the same molecule and as the same scaffold, whatever its charge and tautomer.

Both are compared as *element graphs*: the heavy atoms and which of them are connected, without bond
orders, hydrogens, charges and stereochemistry. Tautomers and protonation states of a molecule have
one element graph. Molecules that differ in bond orders alone, such as benzene and cyclohexane,
share one too, so that this comparison is stricter than one of canonical tautomers.
"""

from collections.abc import Container

from rdkit import Chem, RDLogger

ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
LARGEST = 100  # atoms, hydrogens included
LARGEST_CHARGE = 2

RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]


def parse(smiles: str) -> Chem.Mol | None:
    """A molecule that the recipe takes, without stereochemistry; None for any other.

    It is one component of the ten elements, closed-shell, without isotopes, of charge -2 to +2 and
    of 2 to `LARGEST` atoms.
    """
    if "." in smiles or "*" in smiles:
        return None
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or any(_foreign(atom) for atom in molecule.GetAtoms()):
        return None
    if abs(Chem.GetFormalCharge(molecule)) > LARGEST_CHARGE:
        return None
    if not 2 <= atom_count(molecule) <= LARGEST:
        return None
    Chem.RemoveStereochemistry(molecule)
    return molecule


def name_of(molecule: Chem.Mol) -> str:
    """Canonical 2D SMILES, by which a molecule is called everywhere.

    Hydrogen fluoride is `[H]F`: an `F` alone is read as `False` from extXYZ.
    """
    smiles = Chem.CanonSmiles(Chem.MolToSmiles(molecule))
    return "[H]F" if smiles == "F" else str(smiles)


def atom_count(molecule: Chem.Mol) -> int:
    """Number of atoms, hydrogens included."""
    return int(molecule.GetNumAtoms() + sum(a.GetTotalNumHs() for a in molecule.GetAtoms()))


def skeleton(molecule: Chem.Mol, within: Container[int] | None = None) -> str:
    """The element graph of a molecule, or of those atoms of it, as SMILES of single bonds."""
    return _graph(molecule, _heavy(molecule, within))


def scaffold(molecule: Chem.Mol, within: Container[int] | None = None) -> str:
    """The element graph of rings and what links them (Bemis and Murcko), empty below two rings.

    A single ring is no scaffold in this sense: benzene would be the scaffold of a third of all.

    Args:
        molecule: any.
        within: indices of the atoms to look at, all by default.
    """
    kept = _heavy(molecule, within)
    while ends := {index for index in kept if _degree(molecule, index, kept) < 2}:
        kept -= ends
    bonds = sum(_degree(molecule, index, kept) for index in kept) // 2
    return _graph(molecule, kept) if bonds - len(kept) + 1 >= 2 else ""


def _heavy(molecule: Chem.Mol, within: Container[int] | None) -> set[int]:
    heavy = {atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1}
    return heavy if within is None else {index for index in heavy if index in within}


def _degree(molecule: Chem.Mol, index: int, kept: set[int]) -> int:
    neighbors = molecule.GetAtomWithIdx(index).GetNeighbors()
    return sum(neighbor.GetIdx() in kept for neighbor in neighbors)


def _graph(molecule: Chem.Mol, kept: set[int]) -> str:
    """Canonical SMILES of some atoms, bare, joined by single bonds."""
    graph = Chem.RWMol()
    new = {}
    for index in sorted(kept):
        atom = Chem.Atom(molecule.GetAtomWithIdx(index).GetAtomicNum())
        atom.SetNoImplicit(True)
        new[index] = graph.AddAtom(atom)
    for bond in molecule.GetBonds():
        first, second = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if first in new and second in new:
            graph.AddBond(new[first], new[second], Chem.BondType.SINGLE)
    return str(Chem.MolToSmiles(graph))


def _foreign(atom: Chem.Atom) -> bool:
    return bool(
        atom.GetSymbol() not in ELEMENTS or atom.GetNumRadicalElectrons() or atom.GetIsotope()
    )
