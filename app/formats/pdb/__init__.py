"""PDB files, from text.

Format: wwPDB, Protein Data Bank Contents Guide, version 3.3 (2011). Of a file are read: models,
atoms with element, charge, occupancy and alternate locations, and the cell of `CRYST1`.
"""

from app.formats.pdb.reader import parse

__all__ = ["parse"]
