"""CIF, from and to text: crystals, with all atoms of the cell that symmetry makes of the listed ones.

Format: Hall, Allen and Brown, Acta Cryst. A47, 655 (1991), and the core dictionary of the IUCr.
"""

from app.formats.cif.reader import parse
from app.formats.cif.writer import CifWriter

__all__ = ["CifWriter", "parse"]
