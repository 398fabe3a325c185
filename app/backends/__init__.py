"""Backends: pure functions from a graph to a prediction, each imported only when it is asked for."""

from typing import Protocol

from app.errors import BackendError
from app.graph import Graph
from app.prediction import Prediction
from app.store import ModelCard, StoredModel


class Backend(Protocol):
    """A potential that can be evaluated. The same graph always gets the same answer."""

    @property
    def card(self) -> ModelCard:
        """What the model is, and which elements, charges and cutoff it was made for."""
        ...

    @property
    def is_strictly_local(self) -> bool:
        """Whether an atom's energy depends on its own edges alone, so that any atoms can be evaluated by themselves."""
        ...

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of every structure of the graph.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: the model failed.
        """
        ...


def load_backend(model: StoredModel, threads: int = 0, device: str = "cpu") -> Backend:
    """The backend that the model's card names.

    Args:
        model: a verified version from the store.
        threads: numerics threads of one evaluation; 0 takes all cores.
        device: `cpu` or `cuda`.

    Raises:
        BackendError: the runtime is not installed, or cannot use the device.
    """
    if model.card.backend == "pair":
        from app.backends.pair import PairBackend

        return PairBackend(model.card)
    if model.card.backend == "onnx":
        from app.backends.onnx import OnnxBackend

        return OnnxBackend(model.card, model.folder, threads=threads, device=device)
    raise BackendError(f"model '{model.card.name}' asks for an unknown backend '{model.card.backend}'")
