"""SDF and molfiles, in the V2000 and the V3000 form, from and to text.

Format: Dalby et al., J. Chem. Inf. Comput. Sci. 32, 244 (1992), and BIOVIA's CTfile Formats (2020).
Of a molecule are read: elements, positions, charges, radicals, isotopes, and the bonds, which say
whether hydrogens are missing. Charges are, since a model that cannot take them into account must
refuse them.
"""

from app.formats.sdf.reader import parse
from app.formats.sdf.writer import SdfWriter

__all__ = ["SdfWriter", "parse"]
