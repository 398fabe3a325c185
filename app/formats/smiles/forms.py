"""Forms of a molecule by RDKit: tautomers and protomers; imported in the process of an `Embedder` alone."""

from collections.abc import Iterator
from typing import Any

from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

from app.errors import InvalidStructure
from app.formats.smiles.embedding import bond_of, clean, make_conformers
from app.formats.smiles.ensemble import molecule_of

SITES = (7, 8, 15, 16)
"""Elements that take and give protons: N, O, P, S."""


def tautomers(
    most: int, count: int, seed: int, most_work: float, **molecule: Any
) -> dict[str, Any]:
    """Tautomers of a molecule other than itself.

    Args:
        most: so many.
        count: geometries of each.
        seed: of the random numbers.
        most_work: as of `embedding.make_conformers`, for each form.
        molecule: as of `ensemble.conformers`.

    Returns:
        `forms`, each with its `smiles`, `numbers` (N,), `positions` (K, N, 3) in Å and `warnings`; and
        the molecule's `own`, so that all are compared by their lowest conformers.

    Raises:
        InvalidStructure: it is no molecule, or no geometry of a form is found.
        TakesLonger: it is more work.
    """
    given = Chem.RemoveHs(molecule_of(**molecule))
    enumerator = rdMolStandardize.TautomerEnumerator()
    enumerator.SetMaxTautomers(max(1000, most))
    own = Chem.MolToSmiles(given)
    smiles = [text for text in enumerator.Enumerate(given).smiles if text != own]
    forms = [_form(text, count, seed, most_work) for text in smiles[:most]]
    return {"forms": forms, "own": _form(own, count, seed, most_work) if forms else None}


def protomers(
    most: int, protons: int, count: int, seed: int, most_work: float, **molecule: Any
) -> dict[str, Any]:
    """A molecule with a proton more (1) or less (−1), at each site; else as `tautomers`."""
    given = Chem.RemoveHs(molecule_of(**molecule))
    smiles = list(dict.fromkeys(_protomers(given, protons)))
    return {"forms": [_form(text, count, seed, most_work) for text in smiles[:most]]}


def bonds(**molecule: Any) -> dict[str, Any]:
    """The bonds of a molecule: kind (1, 2, 3), and two atoms."""
    known = molecule_of(**molecule)
    Chem.Kekulize(known, clearAromaticFlags=True)
    return {"bonds": [bond_of(bond) for bond in known.GetBonds()]}


def _protomers(given: Chem.Mol, protons: int) -> Iterator[str]:
    for atom in given.GetAtoms():
        is_site = atom.GetAtomicNum() in SITES
        charge, hydrogens = atom.GetFormalCharge(), atom.GetTotalNumHs()
        if not is_site or (charge > 0 if protons > 0 else not hydrogens or charge < 0):
            continue
        form = Chem.RWMol(given)
        changed = form.GetAtomWithIdx(atom.GetIdx())
        changed.SetFormalCharge(charge + protons)
        changed.SetNoImplicit(True)
        changed.SetNumExplicitHs(hydrogens + protons)
        if Chem.DetectChemistryProblems(form):
            continue
        Chem.SanitizeMol(form)
        yield Chem.MolToSmiles(form)


def _form(smiles: str, count: int, seed: int, most_work: float) -> dict[str, Any]:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    try:
        make_conformers(molecule, count, seed, most_work)
    except InvalidStructure as error:
        raise InvalidStructure(f"{smiles}: {error}") from None
    warnings = clean(molecule, seed)
    return {
        "smiles": smiles,
        "numbers": [atom.GetAtomicNum() for atom in molecule.GetAtoms()],
        "positions": [c.GetPositions().tolist() for c in molecule.GetConformers()],
        "warnings": warnings,
    }
