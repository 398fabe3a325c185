"""QCSchema: one calculation as the quantum chemistry community writes it, versions 1 and 2.

Lengths are bohr and energies hartree there; a gradient is the opposite of forces.
"""

from app.protocol.qcschema.answer import failed_operation, result
from app.protocol.qcschema.ask import MARK, Asked, document_of, read

__all__ = ["MARK", "Asked", "document_of", "failed_operation", "read", "result"]
