"""Which split a molecule belongs to, and which molecule it meets in dimers."""

from collections.abc import Iterable
from dataclasses import replace

from exclusion import Exclusion
from identity import scaffold, skeleton
from molecules import ASPIRIN, ATOM, DIATOMIC, HANDWRITTEN, Molecule, uniform
from rdkit import Chem
from small import PARTNERS

VALIDATION, TEST = 0.03, 0.05  # of scaffolds, and of molecules without one
SMALLEST = 5  # heavy atoms; molecules up to these are always trained on
LARGEST_PARTNER, LARGEST_BODY, LARGEST_COMPLEX = 26, 60, 90  # atoms
FROM_LIST, ITSELF = 0.4, 0.15  # of the dimers


def assigned(molecules: Iterable[Molecule], excluded: Exclusion) -> list[Molecule]:
    """The molecules in their order, each with its split and its partner."""
    listed = list(molecules)
    written = {m.skeleton for m in listed if m.source in HANDWRITTEN}
    placed = [replace(m, split=split_of(m.skeleton, m.scaffold, written)) for m in listed]
    common = [text for text in PARTNERS if not _is_excluded(text, excluded)]
    return _paired(placed, common)


def split_of(skeleton: str, scaffold: str, written: Iterable[str] = ()) -> str:
    """`train`, `validation` or `test`, from the digest of a scaffold or, without one, an element graph.

    Molecules of one scaffold are in one split, and so are tautomers and protonation states.
    Aspirin is a test molecule; small molecules, and those in `written`, are training molecules.
    """
    if skeleton == _ASPIRIN:
        return "test"
    if skeleton in written or _heavy(skeleton) <= SMALLEST:
        return "train"
    share = uniform(scaffold or skeleton, "split")
    return "test" if share < TEST else "validation" if share < TEST + VALIDATION else "train"


def may_be_in(split: str, skeleton: str, scaffold: str, excluded: Exclusion) -> bool:
    """Whether a piece of a molecule of a split, given by its element graphs, may be in it.

    It may not if it is excluded or belongs to another held-out split. Pieces of two rings or more
    are left out altogether, so that none brings the scaffold of another split.
    """
    if scaffold or excluded.has(skeleton, scaffold):
        return False
    return split_of(skeleton, "") in ("train", split)


def _paired(molecules: list[Molecule], common: list[str]) -> list[Molecule]:
    """Give each one of the common partners, itself, or the molecule that comes next in its split."""
    following: dict[str, Molecule] = {}
    result = []
    for molecule in reversed(molecules):
        result.append(replace(molecule, partner=_partner(molecule, following, common)))
        if molecule.source not in (ATOM, DIATOMIC) and molecule.size <= LARGEST_PARTNER:
            following[molecule.split] = molecule
    return result[::-1]


def _partner(molecule: Molecule, following: dict[str, Molecule], common: list[str]) -> str:
    if molecule.source in (ATOM, DIATOMIC) or molecule.size > LARGEST_BODY:
        return ""
    choice = uniform(molecule.smiles, "partner")
    other = following.get(molecule.split)
    if choice < FROM_LIST or other is None:
        fitting = [text for text in common if abs(molecule.charge + charge_of(text)) <= 2]
        return fitting[int(choice / FROM_LIST * len(fitting)) % len(fitting)]
    other = molecule if choice > 1 - ITSELF else other
    small = molecule.size + other.size <= LARGEST_COMPLEX
    return other.smiles if small and abs(molecule.charge + other.charge) <= 2 else common[0]


def charge_of(smiles: str) -> int:
    """Sum of the formal charges, in elementary charges."""
    return int(Chem.GetFormalCharge(Chem.MolFromSmiles(smiles)))


def _is_excluded(text: str, excluded: Exclusion) -> bool:
    chemical = Chem.MolFromSmiles(text)
    return excluded.has(skeleton(chemical), scaffold(chemical))


def _heavy(graph: str) -> int:
    return int(Chem.MolFromSmiles(graph, sanitize=False).GetNumAtoms()) if graph else 0


_ASPIRIN = skeleton(Chem.MolFromSmiles(ASPIRIN))
