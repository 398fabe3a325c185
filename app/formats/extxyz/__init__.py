"""extXYZ and plain XYZ, from and to text.

A frame is a line with the number of atoms, a comment line, and a line for each atom. In extXYZ the
comment line holds `key=value` pairs: `Lattice` (the cell, row by row), `pbc`, `Properties` (names,
types and widths of the columns), and what else there is to say. Format: github.com/libAtoms/extxyz.
"""

from app.formats.extxyz.portions import iter_portions
from app.formats.extxyz.reader import iter_frames, parse
from app.formats.extxyz.writer import ExtXyzWriter, format_frame

__all__ = ["ExtXyzWriter", "format_frame", "iter_frames", "iter_portions", "parse"]
