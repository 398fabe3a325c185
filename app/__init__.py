"""Equipot: equivariant interatomic potentials, trained offline and served over HTTP."""

__version__ = "0.1.0"
