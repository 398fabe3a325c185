"""Proton affinities of twenty acids and bases, against GFN2-xTB.

    python -m recipes.measures.protonation --cache FOLDER --model NAME

Acid and base are relaxed from the same start by both; the energy of the bare proton, a constant, is
left out. Differences between pairs, what pKa values depend on, are those of the second row: the mean
error is taken off.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem
from scipy.stats import spearmanr

from app.atoms.structure import Structure
from app.protocol.response import Answered, Result
from app.relax import RelaxOptions
from recipes.measures import gfn2
from recipes.measures.cache import Cache, Record
from recipes.measures.embedding import embedded
from recipes.measures.model import add_model_options, opened
from recipes.measures.molecules import structure_of
from recipes.measures.results import deviations, publish, table

OPTIONS = RelaxOptions(fmax=0.02)


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


def main() -> None:
    """Measure and print."""
    options = _options()
    cache = Cache(options.cache, "protonation")
    known = [(pair, r) for pair in PAIRS if (r := cache.get(pair.key)) and _converged(r)]
    with opened(options) as model:
        starts = [_start(r[side]) for side in ("acid", "base") for _, r in known]
        ends = model.ask(starts, OPTIONS)
        acids, bases = ends[: len(known)], ends[len(known) :]
        records = [
            compared(pair, reference, acid, base)
            for (pair, reference), acid, base in zip(known, acids, bases, strict=True)
        ]
        publish(options, model, [by_pair(records), summary(records)], {"pairs": records})


def _converged(reference: Record) -> bool:
    return all(reference[side]["converged"] for side in ("acid", "base"))


def _start(side: Record) -> Structure:
    return structure_of(side["numbers"], np.array(side["start"]), side["charge"])


def compared(pair: Pair, reference: Record, acid: Result, base: Result) -> Record:
    """E(base) − E(acid) in eV, of the model and of GFN2-xTB."""
    expected = reference["base"]["energy"] - reference["acid"]["energy"]
    found: Record = {"name": pair.name, "reference": expected}
    for side, result in (("acid", acid), ("base", base)):
        if not isinstance(result, Answered):
            return found | {"failed": f"{side}: {type(result).__name__}: {result}"}
        if result.relaxed is None or not result.relaxed.converged:
            return found | {"failed": f"{side}: the relaxation did not converge"}
        found[side] = result.relaxed.prediction.energy
    return found | {"model": found["base"] - found["acid"]}


def by_pair(records: Sequence[Record]) -> str:
    """A row for each pair."""
    rows = [
        (r["name"], f"{r['reference']:.3f}", f"{r['model']:.3f}" if "model" in r else None)
        for r in records
    ]
    return table(("deprotonation, eV", "GFN2-xTB", "model"), rows)


def summary(records: Sequence[Record]) -> str:
    """Errors over the pairs that were answered."""
    known = [r for r in records if "model" in r]
    error = np.array([r["model"] - r["reference"] for r in known])
    rows: list[tuple[object, ...]] = [
        ("not answered or not converged", len(records) - len(known), *[None] * 4)
    ]
    if len(known) > 1:
        rank = float(
            spearmanr([r["model"] for r in known], [r["reference"] for r in known]).statistic
        )
        rows.insert(0, ("energies", len(known), *deviations(error), rank))
        rows.insert(1, ("differences", len(known), *deviations(error - error.mean()), rank))
    return table(("deprotonation", "pairs", "MAE, eV", "RMSE, eV", "99 %, eV", "Spearman"), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder of the references")
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
