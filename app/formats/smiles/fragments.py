"""Fragments of a SMILES, which are embedded on one spot, put beside each other."""

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from app.atoms.structure import Floats, Integers

APART = 3.0
"""Å between fragments before they are cleaned, and where cleaning has nothing to say."""
TOGETHER = 4.5
"""Å from a fragment to the next one that count as beside each other."""
TRIES = 4
"""Orientations that are cleaned: in some, fragments repel each other until they are out of reach."""


def place(molecule: Chem.Mol, steps: int, seed: int) -> None:
    """Put the fragments of all conformers beside each other, and clean them by MMFF94.

    Args:
        molecule: of several fragments, each on one spot with the others.
        steps: most of MMFF94; 0 where it has no parameters.
        seed: of orientations.
    """
    fragments = [np.array(part) for part in Chem.GetMolFrags(molecule)]
    rng = np.random.default_rng(seed)
    for conformer in molecule.GetConformers():
        alone: Floats = np.array(conformer.GetPositions())
        parted = _parted(alone, fragments)
        conformer.SetPositions(parted)
        if steps and not _meet(molecule, conformer, fragments, alone, steps, rng):
            conformer.SetPositions(parted)
            _clean(molecule, conformer, steps, together=False)


def _meet(
    molecule: Chem.Mol,
    conformer: Chem.Conformer,
    fragments: list[Integers],
    alone: Floats,
    steps: int,
    rng: np.random.Generator,
) -> bool:
    """Clean in one orientation after the other; whether one holds together."""
    for _ in range(TRIES):
        _clean(molecule, conformer, steps, together=True)
        if _are_together(np.array(conformer.GetPositions()), fragments):
            return True
        turned = alone.copy()
        for fragment in fragments:
            rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            turned[fragment] = alone[fragment] @ (rotation * np.sign(np.linalg.det(rotation)))
        conformer.SetPositions(_parted(turned, fragments))
    return False


def _parted(positions: Floats, fragments: list[Integers]) -> Floats:
    """The fragments in a row, in the orientations that they have."""
    parted = positions.copy()
    end = 0.0
    for fragment in fragments:
        parted[fragment, 0] += end - parted[fragment, 0].min()
        end = parted[fragment, 0].max() + APART
    return parted


def _are_together(positions: Floats, fragments: list[Integers]) -> bool:
    """Whether each fragment can be reached from the first, over gaps of `TOGETHER`."""
    near, left = [positions[fragments[0]]], fragments[1:]
    while left:
        reached = np.concatenate(near)
        gaps = [_gap(reached, positions[fragment]) for fragment in left]
        first = int(np.argmin(gaps))
        if gaps[first] > TOGETHER:
            return False
        near.append(positions[left.pop(first)])
    return True


def _gap(one: Floats, other: Floats) -> float:
    return float(np.linalg.norm(one[:, None] - other, axis=-1).min())


def _clean(molecule: Chem.Mol, conformer: Chem.Conformer, steps: int, together: bool) -> None:
    rdForceFieldHelpers.MMFFOptimizeMolecule(
        molecule,
        maxIters=steps,
        confId=conformer.GetId(),
        ignoreInterfragInteractions=not together,
    )
