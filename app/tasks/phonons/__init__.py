"""Phonons of crystals: displaced supercells by symmetry, and what phonopy makes of their forces."""
