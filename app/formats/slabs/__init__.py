"""One structure of any length, slab by slab, so that no more than a slab of it is in memory: extXYZ and
columns in a folder are read and written; LAMMPS data, which hold no energies and forces, are read, and
LAMMPS dumps, which do, are written.
"""

from app.formats.slabs.columns import SUFFIX, Columns, Writer
from app.formats.slabs.source import Head, Slab, Source, open_source

__all__ = ["SUFFIX", "Columns", "Head", "Slab", "Source", "Writer", "open_source"]
