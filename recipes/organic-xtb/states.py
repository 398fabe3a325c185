"""What is made of a molecule of a table: protonation states, tautomers, other substituents."""

from functools import cache

from dimorphite_dl import protonate_smiles
from loguru import logger
from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

SUBSTITUENTS = {
    "azide": "N=[N+]=[N-]",
    "diazo": "C=[N+]=[N-]",
    "isocyanate": "N=C=O",
    "nitrate ester": "O[N+](=O)[O-]",
    "nitroso": "N=O",
    "hydroxamic acid": "C(=O)NO",
    "peroxide": "OOC",
    "anhydride": "C(=O)OC(C)=O",
    "acyl halide": "C(=O)Cl",
    "allene": "C=C=C",
    "sulfoxide": "S(C)=O",
    "sulfate": "OS(=O)(=O)[O-]",
    "sulfonyl halide": "S(=O)(=O)Cl",
    "thiolate": "[S-]",
    "thioketone": "C(C)=S",
    "thioester": "C(=O)SC",
    "dithiocarboxyl": "C(=S)SC",
    "disulfide": "SSC",
    "phosphine": "P(C)C",
    "phosphine oxide": "P(C)(C)=O",
    "phosphonium": "[P+](C)(C)C",
    "phosphoramide": "P(=O)(N(C)C)OC",
    "phosphite": "OP(OC)OC",
    "phosphate": "OP(=O)(O)O",
    "thiophosphate": "OP(=S)(OC)OC",
    "isothiazole": "c1ccns1",
    "iodoalkane": "CI",
    "iodoarene": "I",
}
"""What takes the place of a bromine or chlorine on carbon where the tables lack a group."""
PH = 7.0
TAUTOMERS = 2  # of a molecule, besides itself

logger.disable("dimorphite_dl")


def at_ph_7(smiles: str) -> list[str]:
    """The most likely protonation state at pH 7 where it is not the molecule as it stands."""
    states = protonate_smiles(smiles, ph_min=PH, ph_max=PH, precision=0.0, max_variants=1)
    return [state for state in states if _charged(state)]


def tautomers(smiles: str) -> list[str]:
    """Some of its other tautomers, in alphabetical order."""
    chemical = Chem.MolFromSmiles(smiles)
    found = {Chem.MolToSmiles(tautomer) for tautomer in _enumerator().Enumerate(chemical)}
    return sorted(found - {Chem.MolToSmiles(chemical)})[:TAUTOMERS]


def substituted(smiles: str, group: str) -> str | None:
    """The molecule with a substituent of `SUBSTITUENTS` for its first bromine or chlorine."""
    chemical = Chem.MolFromSmiles(smiles)
    for halogen in ("Br", "Cl"):
        pattern = Chem.MolFromSmarts(f"[{halogen};$([{halogen}][#6])]")
        if chemical.HasSubstructMatch(pattern):
            replacement = Chem.MolFromSmiles(SUBSTITUENTS[group])
            return str(Chem.MolToSmiles(Chem.ReplaceSubstructs(chemical, pattern, replacement)[0]))
    return None


def _charged(smiles: str) -> bool:
    """Whether an atom other than those of a nitro group and the like carries a charge."""
    charged = Chem.MolFromSmarts("[+,-;!$(*~[+]);!$(*~[-])]")
    return bool(Chem.MolFromSmiles(smiles).HasSubstructMatch(charged))


@cache
def _enumerator() -> rdMolStandardize.TautomerEnumerator:
    options = rdMolStandardize.CleanupParameters()
    options.maxTautomers, options.maxTransforms = 20, 40
    return rdMolStandardize.TautomerEnumerator(options)
