"""Geometries of molecules by RDKit: ETKDG, then MMFF94, or UFF where that lacks parameters."""

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import AllChem

Array = NDArray[np.float64]

SEED = 7
ITERATIONS = 2000


def embedded(smiles: str) -> Chem.Mol:
    """A molecule with hydrogens and one relaxed conformer."""
    chemical = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if not conformers(chemical, 1):
        raise SystemExit(f"{smiles}: RDKit cannot embed it")
    return chemical


def conformers(chemical: Chem.Mol, most: int, apart: float = -1.0) -> list[Array]:
    """Positions (N, 3) in Å of relaxed conformers, which are written into the molecule.

    Args:
        chemical: with hydrogens.
        most: how many to embed.
        apart: Å, the least root mean square distance of two of them before they are relaxed.
    """
    AllChem.EmbedMultipleConfs(
        chemical, numConfs=most, randomSeed=SEED, pruneRmsThresh=apart, clearConfs=True
    )
    if AllChem.MMFFHasAllMoleculeParams(chemical):
        AllChem.MMFFOptimizeMoleculeConfs(chemical, maxIters=ITERATIONS)
    else:
        AllChem.UFFOptimizeMoleculeConfs(chemical, maxIters=ITERATIONS)
    return [np.array(conformer.GetPositions()) for conformer in chemical.GetConformers()]
