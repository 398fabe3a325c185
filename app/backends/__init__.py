"""Backends: pure functions from graph to prediction, each imported when it is asked for."""

from typing import Protocol

import numpy as np

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import Prediction, split
from app.backends.device import BackendChoice
from app.errors import BackendError, CorruptModel, InputError
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
    """The backend that the model's card names, which answers the card's probe as it says there.

    Args:
        model: a verified version from the store.
        threads: numerics threads of one evaluation; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        deterministic: a structure's answer has the same bits whatever else is in its graph.
        backend: what runs an exported model; `auto` measures where there is a choice.

    Raises:
        BackendError: the runtime is not installed, or cannot use the device or the artifact.
        CorruptModel: it answers the card's probe otherwise.
    """
    opened = _open(model, threads, device, deterministic, backend)
    check_probe(opened)
    return opened


def _open(
    model: StoredModel, threads: int, device: str, deterministic: bool, backend: BackendChoice
) -> Backend:
    if model.card.backend == "pair":
        from app.backends.pair import PairBackend

        return PairBackend(model.card)
    if model.card.backend == "onnx":
        from app.backends.choice import open_exported

        return open_exported(model, threads, device, deterministic, backend)
    raise BackendError(
        f"model '{model.card.name}' asks for an unknown backend '{model.card.backend}'"
    )


def check_probe(backend: Backend) -> None:
    """Make sure that a backend answers the probe of its card, if there is one.

    Energy and forces are compared, and the energy without derivatives, which may come from another
    artifact.

    Raises:
        CorruptModel: it does not; says by how much.
    """
    probe = backend.card.probe
    if probe is None:
        return
    try:
        graph = build_graph(probe.structure, backend.card.cutoff)
        (whole,), (alone,) = split(backend(graph), graph), split(backend.energies(graph), graph)
    except InputError as error:
        raise CorruptModel(
            f"{backend.card.reference} cannot answer its card's probe: {error}"
        ) from error
    energy, forces = probe.tolerance.energy_per_atom * len(probe.numbers), probe.tolerance.forces
    for found in (whole, alone):
        if not abs(found.energy - probe.energy) <= energy:
            raise CorruptModel(
                f"{backend.card.reference} gives {found.energy:.6f} eV for its card's probe, which says "
                f"{probe.energy:.6f} eV; they may differ by {energy:.1e} eV"
            )
    assert whole.forces is not None
    off = float(np.abs(whole.forces - np.array(probe.forces)).max())
    if not off <= forces:
        raise CorruptModel(
            f"{backend.card.reference} gives forces for its card's probe that differ by {off:.1e} eV/Å "
            f"from those on the card; they may differ by {forces:.1e} eV/Å"
        )
