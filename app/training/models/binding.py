"""The binding energy that atoms of an element have in the mean, so that a network learns the rest."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from app.atoms.pair_terms import ENVELOPE_POWER, REACH, SATURATION
from app.training.models.inputs import LocalInputs
from app.training.models.pairs import lengths_below, of_both, radii
from app.training.models.radial import PolynomialEnvelope


class Binding(nn.Module):
    """E_i = b_i (1 − exp(−3 n_i)), n_i = Σ_j u(r / 2(R_i + R_j)): about the number of bonds.

    It has its full size in a molecule, is zero for an atom alone, and goes smoothly from one to the
    other, since the envelope u ends with its first and second derivative. Where reference energies
    are those of isolated atoms, it is most of the energy.

    Args:
        elements: chemical symbols, in the order of the species index.
        cutoff: Å, beyond which there are no edges.
        energies: eV, b of the elements; zero for those that are not among them.
    """

    energy: Tensor
    radius: Tensor

    def __init__(
        self, elements: Sequence[str], cutoff: float, energies: Mapping[str, float]
    ) -> None:
        super().__init__()
        energy = torch.tensor(
            [energies.get(e, 0.0) for e in elements], dtype=torch.get_default_dtype()
        )
        self.register_buffer("energy", energy, persistent=False)
        reaches = REACH * radii(elements, 0.5 * cutoff / REACH)
        self.register_buffer("radius", reaches, persistent=False)
        self.envelope = PolynomialEnvelope(1.0, ENVELOPE_POWER)

    def forward(self, inputs: LocalInputs) -> Tensor:
        """(N,) eV."""
        energies: Tensor = self.energy.index_select(0, inputs.species) * self.bound(inputs)
        return energies

    def bound(self, inputs: LocalInputs) -> Tensor:
        """(N,) share of its energy that each atom has, from 0 to 1."""
        centre, neighbor = of_both(self.radius, inputs)
        reach = centre + neighbor
        inside, distance = lengths_below(reach, inputs)
        bonds = torch.where(inside, self.envelope(distance / reach), torch.zeros_like(reach))
        return 1 - torch.exp(-SATURATION * bonds.sum(-1))
