"""One structure of any length, read and written slab by slab, so that no more than a slab of it is in
memory: extXYZ, LAMMPS data, and columns in a folder.
"""

from app.formats.slabs.columns import SUFFIX, Columns, Writer
from app.formats.slabs.source import Head, Slab, Source, open_source

__all__ = ["SUFFIX", "Columns", "Head", "Slab", "Source", "Writer", "open_source"]
