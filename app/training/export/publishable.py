"""What can be published: a run, a committee of runs, or a model that was imported."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from app.atoms.structure import Structure
from app.store.card import Origin
from app.store.imported import Imported
from app.training.models import ModelConfig, Statistics
from app.training.models.network import Network


class Publishable(Protocol):
    """Weights, and what a card says of them."""

    @property
    def statistics(self) -> Statistics:
        """Elements, reference energies and scales, which all members share."""

    @property
    def weights(self) -> Sequence[dict[str, Tensor]]:
        """Of each member."""

    @property
    def model(self) -> ModelConfig:
        """Architecture and hyperparameters."""

    @property
    def limitations(self) -> tuple[str, ...]:
        """What its card has to say."""

    @property
    def closed_shell(self) -> bool:
        """Whether it was trained on closed shells only."""

    @property
    def uncertainty(self) -> object | None:
        """The head that estimates the errors of a single model, if it has one."""

    def answering(self, dtype: torch.dtype) -> list[Network]:
        """All members, with the estimates of their errors."""

    def held_out(self) -> list[Structure]:
        """Structures that no member was trained on, for the certificate."""

    def origin(self) -> Origin | None:
        """The model whose weights training began with."""

    def imported(self) -> Imported | None:
        """Where it comes from, if it was not trained here."""

    def metrics(self) -> dict[str, Any]:
        """What was measured."""

    def files(self) -> dict[str, bytes]:
        """What is published besides the weights, by name."""
