"""Repulsion of nuclei at short range, where no data tell a network what to do."""

import math
from collections.abc import Sequence

import torch
from ase.data import atomic_numbers
from torch import Tensor, nn

from app.atoms.pair_terms import UNIVERSAL, Screening
from app.training.models.inputs import LocalInputs
from app.training.models.pairs import lengths_below, of_both, radii
from app.training.models.radial import PolynomialEnvelope


class Repulsion(nn.Module):
    """The universal screened Coulomb repulsion of Ziegler, Biersack and Littmark (1985).

    E_i = ½ Σ_j k Z_i Z_j / r φ(r/a) u(r / (R_i + R_j)), a = 0.8854 a₀ / (Z_i^x + Z_j^x), x = 0.23,
    φ(x) = Σ_k c_k exp(−d_k x). The envelope u ends it, with its first and second derivative, at the
    sum of the covalent radii R, so that hardly anything of it is left where atoms are bonded.

    Args:
        elements: chemical symbols, in the order of the species index.
        cutoff: Å, beyond which there are no edges.
        screening: its constants.
    """

    charge: Tensor
    width: Tensor
    radius: Tensor
    shares: Tensor
    decays: Tensor

    def __init__(
        self, elements: Sequence[str], cutoff: float, screening: Screening = UNIVERSAL
    ) -> None:
        super().__init__()
        numbers = [atomic_numbers[symbol] for symbol in elements]
        z = torch.tensor(numbers, dtype=torch.get_default_dtype())
        constants = {
            "charge": z * math.sqrt(0.5 * screening.coulomb),
            "width": z.pow(screening.exponent) / screening.length,
            "radius": radii(elements, 0.5 * cutoff),
            "shares": torch.tensor(screening.shares).to(z),
            "decays": torch.tensor(screening.decays).to(z),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)
        self.envelope = PolynomialEnvelope(1.0, screening.power)

    def forward(self, inputs: LocalInputs) -> Tensor:
        """(N,) eV; half of each pair's energy is an atom's."""
        (z_i, z_j), widths, radii = (
            of_both(table, inputs) for table in (self.charge, self.width, self.radius)
        )
        width, reach = widths[0] + widths[1], radii[0] + radii[1]
        inside, distance = lengths_below(reach, inputs)
        screening = torch.exp(-(distance * width).unsqueeze(-1) * self.decays) @ self.shares
        pairs = z_i * z_j / distance * screening * self.envelope(distance / reach)
        energies: Tensor = torch.where(inside, pairs, torch.zeros_like(pairs)).sum(-1)
        return energies
