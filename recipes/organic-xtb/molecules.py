"""Which molecules the recipe samples, in a shuffled order that is the same everywhere."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement

from built import macrocycles, peptides
from exclusion import Exclusion
from groups import groups_of
from identity import ELEMENTS, atom_count, name_of, parse, scaffold, skeleton
from rdkit import Chem
from small import IONS, MOLECULES, ZWITTERIONS
from states import SUBSTITUENTS, at_ph_7, substituted, tautomers
from tables import TABLES

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
CANDIDATES = {"moses": 10_000, "qm9": 12_000}
"""How many of a table's rows are looked at, by rank; all of the others."""
QUOTAS = {
    "freesolv": 450,
    "solubility": 800,
    "nci": 2400,
    "chembl": 1000,
    "chemicals": 9000,
    "moses": 2600,
    "qm9": 2600,
}
OF_EACH_GROUP = 150  # molecules, where the tables have so many
PROTONATED, TAUTOMERS = 2600, 700
HANDWRITTEN = ("tiny", "ion", "zwitterion")
DIATOMIC, ATOM = "diatomic", "atom"


@dataclass(frozen=True)
class Molecule:
    """One molecule of the recipe, or a pair of elements or an atom to scan.

    Attributes:
        smiles: canonical SMILES without stereochemistry; its name everywhere.
        source: table that it comes from, `peptide` and the like, or `diatomic`.
        size: number of atoms.
        charge: in elementary charges.
        skeleton: its element graph.
        scaffold: element graph of its ring systems and their links, empty below two rings.
        split: `train`, `validation` or `test`.
        partner: SMILES of another molecule of the same split, for dimers; may be empty.
    """

    smiles: str
    source: str
    size: int
    charge: int
    skeleton: str
    scaffold: str
    groups: tuple[str, ...] = field(default=(), compare=False)
    split: str = "train"
    partner: str = ""

    @property
    def rank(self) -> float:
        """A number in [0, 1) from the digest of the SMILES, by which tables are cut short."""
        return uniform(self.smiles)

    @property
    def place(self) -> float:
        """Another one, by which what was chosen is shuffled."""
        return uniform(self.smiles, "place")

    @property
    def weight(self) -> float:
        """Probability of being taken by its size: all small ones, few large ones."""
        return min(1.0, (22.0 / self.size) ** 2)


def uniform(text: str, purpose: str = "") -> float:
    """A number in [0, 1) from the digest of a text; independent ones for different purposes."""
    digest = hashlib.sha256((purpose + text).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def choose(excluded: Exclusion, share: float = 1.0) -> list[Molecule]:
    """The molecules to sample, in shuffled order, each once; split and partners come later.

    Args:
        excluded: what must not be among them; aspirin, a test molecule, always is.
        share: of the quotas, for a smaller recipe.
    """
    taken: dict[str, Molecule] = {}
    candidates = {
        source: [m for m in _molecules(source, texts) if not _is_excluded(m, excluded)]
        for source, texts in _texts(share).items()
    }
    for source in (*HANDWRITTEN, "peptide", "macrocycle"):
        _take(taken, candidates.pop(source))
    _take(taken, _molecules("solubility", [ASPIRIN]))
    _take_groups(taken, candidates, round(OF_EACH_GROUP * share))
    for source, molecules in candidates.items():
        have = sum(molecule.source == source for molecule in taken.values())
        fitting = [m for m in molecules if uniform(m.smiles, "size") < m.weight]
        fresh = [m for m in fitting if m.smiles not in taken]
        _take(taken, fresh[: max(0, round(QUOTAS[source] * share) - have)])
    _take_substituted(taken, candidates, excluded, round(OF_EACH_GROUP * share))
    _take_states(taken, excluded, share)
    _take(taken, (m for m in (*diatomics(), *atoms()) if uniform(m.smiles, "share") < share))
    return sorted(taken.values(), key=lambda molecule: molecule.place)


def diatomics() -> Iterator[Molecule]:
    """All pairs of the ten elements, to be scanned."""
    for pair in combinations_with_replacement(ELEMENTS, 2):
        yield Molecule("-".join(pair), DIATOMIC, 2, 0, "", "")


def atoms() -> Iterator[Molecule]:
    """Each of the ten elements alone."""
    for element in ELEMENTS:
        yield Molecule(f"{element} atom", ATOM, 1, 0, "", "")


def group_counts(molecules: Iterable[Molecule]) -> dict[str, int]:
    """How many molecules have each functional group."""
    return dict(Counter(group for molecule in molecules for group in molecule.groups))


def described(chemical: Chem.Mol, source: str) -> Molecule:
    """What the recipe has to know of a molecule."""
    return Molecule(
        name_of(chemical),
        source,
        atom_count(chemical),
        Chem.GetFormalCharge(chemical),
        skeleton(chemical),
        scaffold(chemical),
        tuple(groups_of(chemical)),
    )


def _texts(share: float) -> dict[str, Iterable[str]]:
    """SMILES of every source: of large tables the first by rank of what stands there."""
    written = {
        "tiny": MOLECULES,
        "ion": IONS,
        "zwitterion": ZWITTERIONS,
        "peptide": peptides(),
        "macrocycle": macrocycles(),
    }
    texts: dict[str, Iterable[str]] = {
        source: [text for text in listed if uniform(text, "share") < share]
        for source, listed in written.items()
    }
    for source, table in TABLES.items():
        rows = sorted(dict.fromkeys(table()), key=uniform)
        texts[source] = rows[: round(CANDIDATES.get(source, len(rows)) * share)]
    return texts


def _molecules(source: str, texts: Iterable[str]) -> list[Molecule]:
    """Those of a source that the recipe takes, by rank and without repeats."""
    found = {}
    for text in texts:
        chemical = parse(text)
        if chemical is not None:
            molecule = described(chemical, source)
            found[molecule.smiles] = molecule
        elif source in HANDWRITTEN:
            raise ValueError(f"{source}: {text} is no molecule of this recipe")
    return sorted(found.values(), key=lambda molecule: molecule.rank)


def _is_excluded(molecule: Molecule, excluded: Exclusion) -> bool:
    return excluded.has(molecule.skeleton, molecule.scaffold)


def _take(taken: dict[str, Molecule], molecules: Iterable[Molecule]) -> None:
    for molecule in molecules:
        taken.setdefault(molecule.smiles, molecule)


def _take_groups(
    taken: dict[str, Molecule], candidates: dict[str, list[Molecule]], wanted: int
) -> None:
    """Fill up every functional group, the rarest first, with the smaller ones of its molecules."""
    pool = [molecule for molecules in candidates.values() for molecule in molecules]
    pool.sort(key=lambda molecule: molecule.rank / molecule.weight)
    counts = Counter(group for molecule in pool for group in molecule.groups)
    have = Counter(group_counts(taken.values()))
    for group, _ in sorted(counts.items(), key=lambda entry: entry[1]):
        for molecule in pool:
            if have[group] >= wanted:
                break
            if group in molecule.groups and molecule.smiles not in taken:
                taken[molecule.smiles] = molecule
                have.update(molecule.groups)


def _take_substituted(
    taken: dict[str, Molecule],
    candidates: dict[str, list[Molecule]],
    excluded: Exclusion,
    wanted: int,
) -> None:
    """Fill up groups that the tables lack, in the place of a halogen of small molecules."""
    halides = {"bromoalkane", "bromoarene", "chloroalkane", "chloroarene"}
    pool = [m for ms in candidates.values() for m in ms if halides & set(m.groups) and m.size < 36]
    have = group_counts(taken.values())
    for group in SUBSTITUENTS:
        pool.sort(key=lambda molecule: uniform(molecule.smiles, group))
        missing = max(0, wanted - have.get(group, 0))
        for parent in pool[: 2 * missing]:
            made = _molecules(parent.source, [substituted(parent.smiles, group) or ""])
            for molecule in made:
                if missing and group in molecule.groups and not _is_excluded(molecule, excluded):
                    taken.setdefault(molecule.smiles, molecule)
                    missing -= 1


def _take_states(taken: dict[str, Molecule], excluded: Exclusion, share: float) -> None:
    """Add protonation states at pH 7 and tautomers of molecules that are taken already."""
    parents = sorted(
        (m for m in taken.values() if m.source not in HANDWRITTEN and m.size <= 60),
        key=lambda molecule: uniform(molecule.smiles, "states"),
    )
    for make, wanted in ((at_ph_7, PROTONATED), (tautomers, TAUTOMERS)):
        before = len(taken)
        for parent in parents:
            if len(taken) - before >= wanted * share:
                break
            states = _molecules(parent.source, make(parent.smiles))
            _take(
                taken,
                [replace(s, source=parent.source) for s in states if not _is_excluded(s, excluded)],
            )
