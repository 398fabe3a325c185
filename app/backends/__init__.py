"""Backends: pure functions from graph to prediction, each imported when it is asked for."""

from typing import Protocol

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends.device import BackendChoice
from app.errors import BackendError
from app.store.card import ModelCard
from app.store.store import StoredModel


class Backend(Protocol):
    """A potential that can be evaluated. The same graph always gets the same answer."""

    @property
    def card(self) -> ModelCard:
        """What the model is, and which elements, charges and cutoff it was made for."""
        ...

    @property
    def runtime(self) -> str:
        """Name and version of what computes, as in `onnxruntime 1.23.0`."""
        ...

    @property
    def is_strictly_local(self) -> bool:
        """Whether an atom's energy depends on its own edges alone.

        Any atoms can then be evaluated by themselves.
        """
        ...

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of every structure of the graph.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: the model failed.
        """
        ...

    def energies(self, graph: Graph) -> Prediction:
        """Energies of every structure of the graph, without the time that derivatives take.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: the model failed.
        """
        ...


def load_backend(
    model: StoredModel,
    threads: int = 0,
    device: str = "cpu",
    deterministic: bool = False,
    backend: BackendChoice = "auto",
) -> Backend:
    """The backend that the model's card names.

    Args:
        model: a verified version from the store.
        threads: numerics threads of one evaluation; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        deterministic: a structure's answer has the same bits whatever else is in its graph.
        backend: what runs an exported model; `auto` measures where there is a choice.

    Raises:
        BackendError: the runtime is not installed, or cannot use the device or the artifact.
    """
    if model.card.backend == "pair":
        from app.backends.pair import PairBackend

        return PairBackend(model.card)
    if model.card.backend == "onnx":
        from app.backends.choice import open_exported

        return open_exported(model, threads, device, deterministic, backend)
    raise BackendError(
        f"model '{model.card.name}' asks for an unknown backend '{model.card.backend}'"
    )
