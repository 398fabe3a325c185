"""Gradients of a loss in the native kernel, which evaluates Allegro and differentiates it by hand.

The loss L depends on the weights θ through the energies E_i of atoms and their gradients g = ∂E/∂r by
the edge vectors. With a_i = ∂L/∂E_i and W = ∂L/∂g,

    dL/dθ = Σ_i a_i ∂E_i/∂θ + Σ W·∂g/∂θ,

and the second sum is the derivative of Σ_i ∂E_i/∂θ as the edge vectors move along W. It is taken as a
central difference, with a step of its own for each atom, whose energy depends on its own edges only:

    dL/dθ ≈ Σ_i (a_i/2 + 1/2h_i) ∂E_i(r + h_i W)/∂θ + (a_i/2 − 1/2h_i) ∂E_i(r − h_i W)/∂θ.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from app.atoms.structure import Floats
from app.backends.artifact import OUTPUTS
from app.backends.kernel import KernelArtifact, load_library
from app.backends.kernel_network import AllegroShape, parameters, tables
from app.errors import BackendError, InvalidConfig, TrainingError
from app.training.data.batches import Batch
from app.training.evaluation.forward import Outputs, summed
from app.training.loop.loss import Losses
from app.training.models import ModelConfig, ModelInputs, Statistics
from app.training.models.derivatives import forces_and_virials
from app.training.models.network import Network
from app.training.runs.config import TrainConfig

LONGEST_MOVE = 2e-3
"""Å by which a component of an edge's vector moves at most. Of a fresh network this is exact to 1e-3;
smaller moves are lost in the rounding of vectors, and larger ones smooth the forces that are learnt."""

Arrays = dict[str, NDArray[Any]]


def kernel_of(
    model: Network, config: TrainConfig, statistics: Statistics, device: torch.device
) -> "KernelNetwork | None":
    """The kernel, where the config wants its steps.

    Raises:
        InvalidConfig: it is not there, or the device is not the CPU; says what to do.
    """
    if config.step != "kernel":
        return None
    if device.type != "cpu":
        raise InvalidConfig(
            f"step = 'kernel': it runs on a CPU, and training on {device}; set device to 'cpu', or step to 'eager'"
        )
    try:
        return KernelNetwork(model, config.model, statistics, torch.get_num_threads())
    except (BackendError, ValidationError) as error:
        raise InvalidConfig(f"step = 'kernel': {error}; or set step to 'eager'") from error


class KernelNetwork:
    """An Allegro in the kernel, with the weights that the model has at the time.

    Args:
        model: of `config`, in float32 on the CPU.
        config: what it is.
        statistics: with which it was built.
        threads: that share the atoms of a batch.

    Attributes:
        compared: whether its gradients have been held to those of automatic differentiation.

    Raises:
        BackendError: the kernel is not installed, or cannot be loaded.
    """

    def __init__(
        self, model: Network, config: ModelConfig, statistics: Statistics, threads: int
    ) -> None:
        self.model, self.threads, self.compared = model, threads, False
        self._library, _ = load_library()
        shape = AllegroShape.model_validate(config.model_dump(mode="json"))
        self._tables = tables(shape, statistics.elements, statistics.binding_energies)
        self._pool = ThreadPoolExecutor(threads)

    def add_gradients(
        self, batch: Batch, losses: Callable[[Outputs], Losses], stress: bool = True
    ) -> Tensor:
        """Add the gradients of a loss to those of the weights that are learnt.

        Args:
            batch: the structures.
            losses: of the model's answers.
            stress: as in `predict`.

        Returns:
            The losses (4,).

        Raises:
            TrainingError: the kernel fails, such as for want of memory.
        """
        try:
            return self._add_gradients(batch, losses, stress)
        except (BackendError, RuntimeError) as error:
            raise TrainingError(f"the kernel failed: {error}; set step to 'eager'") from error

    def _add_gradients(
        self, batch: Batch, losses: Callable[[Outputs], Losses], stress: bool
    ) -> Tensor:
        network = self._network()
        parts = list(_parts(batch.inputs, self.threads))
        energies, gradients = (
            torch.from_numpy(np.concatenate(found)).to(batch.volume.dtype).requires_grad_()
            for found in zip(
                *self._pool.map(lambda part: network.run(OUTPUTS, part), parts), strict=True
            )
        )
        forces, virials = forces_and_virials(batch.inputs, gradients)
        parts_of_loss = losses(summed(batch, energies, forces, virials, stress))
        parts_of_loss.total.backward()  # type: ignore[no-untyped-call]
        rows = np.cumsum([len(part["mask"]) for part in parts])[:-1]
        by_energies, by_gradients = (
            np.split(np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy(), rows)
            for leaf in (energies, gradients)
        )

        def weight_gradients(part: Arrays, by_energy: Floats, by_gradient: Floats) -> Arrays:
            longest = np.abs(by_gradient).max(axis=(1, 2))
            step = LONGEST_MOVE / np.where(longest > 0, longest, np.inf)
            slope = 0.5 * longest / LONGEST_MOVE
            moves = step[:, None, None] * by_gradient
            sums = {name: np.zeros(p.shape) for name, p in self._parameters()}
            for sign in (1, -1):
                moved = part | {"edge_vectors": part["edge_vectors"] + sign * moves}
                network.weight_gradients(moved, 0.5 * by_energy + sign * slope, sums)
            return sums

        for sums in self._pool.map(weight_gradients, parts, by_energies, by_gradients):
            for name, parameter in self._parameters():
                if parameter.requires_grad:
                    gradient = torch.from_numpy(sums[name]).to(parameter.dtype)
                    parameter.grad = (
                        gradient if parameter.grad is None else parameter.grad.add_(gradient)
                    )
        return torch.stack([part.detach() for part in parts_of_loss])

    def _parameters(self) -> Iterator[tuple[str, Tensor]]:
        """By their names in the kernel, which knows no terms that are added to a network."""
        for name, parameter in self.model.named_parameters():
            yield name.removeprefix("model."), parameter

    def _network(self) -> KernelArtifact:
        """With the weights as they are."""
        weights = {name: tensor.numpy() for name, tensor in self.model.state_dict().items()}
        return KernelArtifact(self._library, self._tables | parameters(weights))


def _parts(inputs: ModelInputs, count: int) -> Iterator[Arrays]:
    """What the kernel takes, so many atoms at a time that at most `count` parts have about as many
    edges.
    """
    local = inputs.local()
    given = {name: t.numpy() for name, t in local._asdict().items() if t is not None}
    edges = np.cumsum(given["mask"].sum(1))
    ends = np.searchsorted(edges, edges[-1] * np.arange(1, count) / count, side="right")
    ends = np.unique([0, *ends, len(edges)])
    for start, end in pairwise(ends):
        yield {name: values[start:end] for name, values in given.items()}
