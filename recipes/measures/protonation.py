"""Acids and bases."""

from dataclasses import dataclass

from rdkit import Chem

from recipes.measures import gfn2
from recipes.measures.cache import Record
from recipes.measures.embedding import embedded


@dataclass(frozen=True)
class Pair:
    """An acid and its conjugate base, as SMILES."""

    name: str
    acid: str
    base: str

    @property
    def key(self) -> str:
        """The record's name in the cache."""
        return f"{self.acid} {self.base}"


PAIRS = (
    Pair("acetic acid", "CC(=O)O", "CC(=O)[O-]"),
    Pair("chloroacetic acid", "ClCC(=O)O", "ClCC(=O)[O-]"),
    Pair("trifluoroacetic acid", "FC(F)(F)C(=O)O", "FC(F)(F)C(=O)[O-]"),
    Pair("benzoic acid", "O=C(O)c1ccccc1", "O=C([O-])c1ccccc1"),
    Pair("3-iodobenzoic acid", "O=C(O)c1cccc(I)c1", "O=C([O-])c1cccc(I)c1"),
    Pair("phenol", "Oc1ccccc1", "[O-]c1ccccc1"),
    Pair("methanol", "CO", "C[O-]"),
    Pair("thiophenol", "Sc1ccccc1", "[S-]c1ccccc1"),
    Pair("methanesulfonic acid", "CS(=O)(=O)O", "CS(=O)(=O)[O-]"),
    Pair("dimethyl phosphate", "COP(=O)(O)OC", "COP(=O)([O-])OC"),
    Pair("methylammonium", "C[NH3+]", "CN"),
    Pair("trimethylammonium", "C[NH+](C)C", "CN(C)C"),
    Pair("anilinium", "[NH3+]c1ccccc1", "Nc1ccccc1"),
    Pair("pyridinium", "c1cc[nH+]cc1", "c1ccncc1"),
    Pair("4-bromopyridinium", "Brc1cc[nH+]cc1", "Brc1ccncc1"),
    Pair("imidazolium", "c1c[nH+]c[nH]1", "c1cnc[nH]1"),
    Pair("guanidinium", "NC(N)=[NH2+]", "NC(N)=N"),
    Pair("acetamidinium", "CC(N)=[NH2+]", "CC(N)=N"),
    Pair("morpholinium", "C1COCC[NH2+]1", "C1COCCN1"),
    Pair("piperidinium", "C1CCCC[NH2+]1", "C1CCCCN1"),
)


def reference(pair: Pair) -> Record:
    """Start geometries and GFN2-xTB minima of acid and base."""
    return {"acid": _minimum(pair.acid), "base": _minimum(pair.base)}


def _minimum(smiles: str) -> Record:
    chemical = embedded(smiles)
    numbers = [atom.GetAtomicNum() for atom in chemical.GetAtoms()]
    charge = Chem.GetFormalCharge(chemical)
    start = chemical.GetConformer().GetPositions().round(6)
    end = gfn2.minimum(numbers, start, charge)
    return {
        "numbers": numbers,
        "charge": charge,
        "start": start.tolist(),
        "energy": end.energy,
        "converged": end.converged,
    }
