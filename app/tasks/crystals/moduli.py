"""Moduli of a polycrystal, from the elastic tensor of one crystal.

R. Hill, Proc. Phys. Soc. A 65, 349 (1952); S. I. Ranganathan, M. Ostoja-Starzewski, Phys. Rev. Lett. 101,
055504 (2008).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from app.atoms.structure import Floats

SHEARS = np.diag([1.0] * 3 + [2.0] * 3)
"""By which a tensor in Voigt's notation becomes one whose eigenvalues do not depend on axes."""


@dataclass(frozen=True, slots=True, eq=False)
class Moduli:
    """What an elastic tensor C says of stiffness; in its unit.

    Attributes:
        tensor: (6, 6), symmetric, in Voigt's order with shears 2ε.
        eigenvalues: (6,), of C as a map of strains to stresses, the lowest first.
        is_stable: whether all are positive.
    """

    tensor: Floats
    eigenvalues: Floats
    is_stable: bool

    @classmethod
    def of(cls, tensor: Floats) -> Self:
        """Those of a tensor."""
        roots = np.sqrt(SHEARS)
        eigenvalues = np.asarray(np.linalg.eigvalsh(roots @ tensor @ roots), np.float64)
        return cls(tensor, eigenvalues, bool(eigenvalues[0] > 0.0))

    def named(self) -> dict[str, Any]:
        """All averages by the names of `ElasticValue`; those of Reuss and Hill where it is stable."""
        bulk, shear = _averages(self.tensor)
        named = {"bulk_modulus_voigt_GPa": bulk, "shear_modulus_voigt_GPa": shear}
        if not self.is_stable:
            return named
        compliance = np.asarray(np.linalg.inv(self.tensor), np.float64)
        bulk_reuss, shear_reuss = _of_compliance(compliance)
        bulk_hill, shear_hill = 0.5 * (bulk + bulk_reuss), 0.5 * (shear + shear_reuss)
        young = 9.0 * bulk_hill * shear_hill / (3.0 * bulk_hill + shear_hill)
        return {
            **named,
            "compliance_tensor_per_GPa": compliance.tolist(),
            "bulk_modulus_reuss_GPa": bulk_reuss,
            "bulk_modulus_hill_GPa": bulk_hill,
            "shear_modulus_reuss_GPa": shear_reuss,
            "shear_modulus_hill_GPa": shear_hill,
            "youngs_modulus_GPa": young,
            "poisson_ratio": young / (2.0 * shear_hill) - 1.0,
            "universal_anisotropy": 5.0 * shear / shear_reuss + bulk / bulk_reuss - 6.0,
        }


def _averages(c: Floats) -> tuple[float, float]:
    """Bulk and shear modulus of Voigt: all grains have the same strain."""
    normal, off, shear = np.trace(c[:3, :3]), c[0, 1] + c[0, 2] + c[1, 2], np.trace(c[3:, 3:])
    return float((normal + 2.0 * off) / 9.0), float((normal - off + 3.0 * shear) / 15.0)


def _of_compliance(s: Floats) -> tuple[float, float]:
    """Those of Reuss: all grains have the same stress."""
    normal, off, shear = np.trace(s[:3, :3]), s[0, 1] + s[0, 2] + s[1, 2], np.trace(s[3:, 3:])
    return float(1.0 / (normal + 2.0 * off)), float(15.0 / (4.0 * (normal - off) + 3.0 * shear))
