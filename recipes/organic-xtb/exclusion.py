"""Molecules and scaffolds that must not be in the data, because they are measured against."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from identity import scaffold, skeleton
from rdkit import Chem


@dataclass(frozen=True)
class Exclusion:
    """Element graphs of molecules and of scaffolds.

    Attributes:
        skeletons: of molecules; covers their tautomers and protonation states.
        scaffolds: of those with at least two rings.
        digest: sha256 of the file, empty without one.
    """

    skeletons: frozenset[str] = frozenset()
    scaffolds: frozenset[str] = frozenset()
    digest: str = ""

    @classmethod
    def of_file(cls, path: Path) -> "Exclusion":
        """From an SDF; an entry with several components excludes each of them.

        Raises:
            SystemExit: the file cannot be read, or has an entry without atoms.
        """
        if not path.is_file():
            raise SystemExit(f"--exclude {path}: no such file; write --exclude none to go without")
        components: list[Chem.Mol] = []
        for index, entry in enumerate(Chem.SDMolSupplier(str(path), sanitize=False)):
            if entry is None or not entry.GetNumAtoms():
                raise SystemExit(f"--exclude {path}: entry {index} cannot be read")
            components += Chem.GetMolFrags(entry, asMols=True, sanitizeFrags=False)
        scaffolds = frozenset(map(scaffold, components)) - {""}
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(frozenset(map(skeleton, components)) - {""}, scaffolds, digest)

    def has(self, skeleton: str, scaffold: str) -> bool:
        """Whether a molecule, a tautomer or protonation state of it, or its scaffold is excluded."""
        return skeleton in self.skeletons or scaffold in self.scaffolds
