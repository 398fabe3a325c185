"""SMILES, and the geometries that RDKit makes of them.

A SMILES names a molecule and says nothing of its geometry. Reading one gives a
`Smiles`; an `Embedder` makes conformers of it, in a process of its own.
"""

from app.formats.smiles.embedder import Conformers, Embedder, TakesLonger, is_available
from app.formats.smiles.reader import parse

__all__ = ["Conformers", "Embedder", "TakesLonger", "is_available", "parse"]
