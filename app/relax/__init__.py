"""Relaxation of many structures at once, on the queue that single points use as well."""

from app.relax.held import Held
from app.relax.options import Relaxed, RelaxOptions, Safeguards
from app.relax.relaxation import relax
from app.relax.state import Keep, RelaxationState

__all__ = ["Held", "Keep", "RelaxOptions", "RelaxationState", "Relaxed", "Safeguards", "relax"]
