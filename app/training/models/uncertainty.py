"""How far a network's answer is off, estimated from the features that its last layer reads.

A head of its own, fitted when the network has been trained (`app.training.evaluation.judge`), so
that the network's own numbers stay as they are, and its cost is that of a small layer an atom.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from app.training.models.network import Network

HIDDEN = 16
LARGEST_LOG = 7.0
"""Errors end at e⁷ eV, or eV/Å: what is farther off is of no more use."""
SMALLEST = 1e-6


class ErrorEstimates(NamedTuple):
    """What is said of each atom.

    Attributes:
        energy_errors: (N,), eV; the variance of a structure's energy is the sum of their squares.
        force_errors: (N,), eV/Å; root of the summed variances of the components of its force.
        novelty: (N,), 1 where hardly a training structure has an atom that is more unlike the others.
    """

    energy_errors: Tensor
    force_errors: Tensor
    novelty: Tensor


class Uncertainty(nn.Module):
    """Distance of an atom's features from those of its element in the data, and errors expected.

    With features x, whitened as z = W_s (x − μ_s) by the mean and the covariance of element s,
    the distance is d = √(|z|²/H) (Mahalanobis; Lee et al., NeurIPS 2018) and the novelty d / d_s.
    The errors are exp(a·h + b_s + c·log d), h = silu(A z / max(d, 1)), with c > 0, so that what is
    farther from the data than all of them has larger errors than all of them.

    Args:
        elements: S, number of elements.
        width: H, number of features.
    """

    mean: Tensor
    whiten: Tensor
    reach: Tensor

    def __init__(self, elements: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(elements, width))
        self.register_buffer("whiten", torch.eye(width).repeat(elements, 1, 1))
        self.register_buffer("reach", torch.ones(elements))
        self.hidden = nn.Linear(width, HIDDEN)
        self.out = nn.Linear(HIDDEN, 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(elements, 2))
        self.growth = nn.Parameter(torch.zeros(2))

    def forward(self, features: Tensor, species: Tensor) -> ErrorEstimates:
        """Estimates for N atoms.

        Args:
            features: (N, H), as `Network.features` gives them.
            species: (N,) index into the elements.
        """
        away = features - self.mean.index_select(0, species)
        whitened = (self.whiten.index_select(0, species) @ away.unsqueeze(-1)).squeeze(-1)
        distance = ((whitened * whitened).mean(-1) + SMALLEST).sqrt()
        bounded = whitened / distance.clamp(min=1.0).unsqueeze(-1)
        logs = self.out(nn.functional.silu(self.hidden(bounded)))
        logs = logs + self.bias.index_select(0, species)
        logs = logs + nn.functional.softplus(self.growth) * distance.log().unsqueeze(-1)
        energy, forces = logs.clamp(max=LARGEST_LOG).exp().unbind(-1)
        return ErrorEstimates(energy, forces, distance / self.reach.index_select(0, species))


class WithUncertainty(Network):
    """A network together with the estimates of its errors.

    Args:
        network: of any architecture.
        uncertainty: fitted to it.
    """

    def __init__(self, network: Network, uncertainty: Uncertainty) -> None:
        super().__init__()
        self.network, self.uncertainty = network, uncertainty
        self.strictly_local, self.takes_charge = network.strictly_local, network.takes_charge

    def features(self, inputs: Any) -> Tensor:
        """(N, H), eV: those of the network."""
        return self.network.features(inputs)

    def read(self, features: Tensor, inputs: Any) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
        return self.network.read(features, inputs)

    def errors(self, features: Tensor, inputs: Any) -> ErrorEstimates:
        """What is estimated from the (N, H) features."""
        estimates: ErrorEstimates = self.uncertainty(features, inputs.species)
        return estimates
