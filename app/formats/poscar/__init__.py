"""POSCAR and CONTCAR, the structures of VASP, from and to text.

Format: vasp.at/wiki/POSCAR. Velocities behind the positions say nothing of energy and forces.
"""

from app.formats.poscar.reader import parse
from app.formats.poscar.writer import PoscarWriter

__all__ = ["PoscarWriter", "parse"]
