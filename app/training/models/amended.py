"""A network with terms added whose form is known beforehand."""

from torch import Tensor, nn

from app.training.models.inputs import LocalInputs, ModelInputs
from app.training.models.network import Network


class Amended(Network):
    """A model of any architecture, and what is added to its energies.

    Args:
        model: of any architecture.
        terms: by name; each maps `LocalInputs` to (N,) energies, eV.
    """

    def __init__(self, model: Network, terms: dict[str, nn.Module]) -> None:
        super().__init__()
        self.model, self.terms = model, nn.ModuleDict(terms)
        self.strictly_local, self.takes_charge = model.strictly_local, model.takes_charge
        self.species_axes = {f"model.{name}": axes for name, axes in model.species_axes.items()}
        self.elementwise = model.elementwise

    def features(self, inputs: LocalInputs | ModelInputs) -> Tensor:
        """(N, H), eV: those of the model."""
        return self.model.features(inputs)

    def read(self, features: Tensor, inputs: LocalInputs | ModelInputs) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
        local = inputs.local() if isinstance(inputs, ModelInputs) else inputs
        energies = self.model.read(features, inputs)
        for term in self.terms.values():
            energies = energies + term(local)
        return energies
