"""The ONNX backend: an exported model, evaluated in portions that fit the processor's cache.

The artifact gives per-atom energies and their gradient by the edge vectors. What remains is two sums, done
here: F_i = Σ_j g_ij − Σ_j g_ji, and the virial Σ r_ij ⊗ g_ij (see `app.training.derivatives`). A committee has an
artifact a member; each runs on the same portions, and the answer is the mean.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.backends import worker_threads
from app.backends.layout import Slots, portions
from app.backends.runtime import check_providers, is_out_of_memory, providers_for, require_onnxruntime
from app.errors import BackendError, OutOfMemory
from app.graph import Graph
from app.prediction import Prediction, committee, from_atoms
from app.store import ARTIFACT, ModelCard, member_files
from app.structure import Floats, Integers

SLOTS_PER_RUN = {"cpu": (600, 2048), "cuda": (1 << 20, 1 << 20)}
"""Least and most edge slots a run of the session: on a CPU what outweighs its own cost, to share work among threads,
and what stays in the cache; on a GPU what its memory holds."""


class OnnxBackend:
    """A model, or the members of a committee, in ONNX Runtime.

    Args:
        card: what the model is.
        folder: where `model.onnx` is, with `model-1.onnx`, … beside it if it has several members.
        threads: portions evaluated at the same time; 0 takes all cores the process may use.
        device: `cpu` or `cuda`.

    Raises:
        BackendError: the runtime is missing, cannot use the device, or cannot read the artifact.
    """

    def __init__(self, card: ModelCard, folder: Path, threads: int = 0, device: str = "cpu") -> None:
        self._card = card
        self.threads = worker_threads(threads) if device == "cpu" else 1
        self._sessions = [_open(folder / name, device) for name in member_files(ARTIFACT, card.members)]
        self._inputs = [i.name for i in self._sessions[0].get_inputs()]
        self._slots = SLOTS_PER_RUN[device]
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="onnx") if self.threads > 1 else None

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    @property
    def is_strictly_local(self) -> bool:
        """Whether any portion of the atoms can be evaluated without the others."""
        return "neighbors" not in self._inputs

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of every structure of the graph.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: ONNX Runtime failed.
        """
        species = self._card.species(graph.numbers)
        vectors = graph.edge_vectors()
        count = len(self._sessions)
        gradients = np.zeros((count, *vectors.shape))
        energies = np.tile(self._card.references(species), (count, 1))

        def run(task: tuple[int, Slots]) -> None:
            member, part = task
            shares, edge_gradients = self._run(member, part, species, vectors)
            energies[member, part.atoms] += shares
            gradients[member, part.edges] = edge_gradients[part.mask]

        parts = portions(graph, *self._slots, whole_structures=not self.is_strictly_local)
        for _ in self._map(run, list(product(range(count), parts))):
            pass
        return committee([_assemble(graph, e, vectors, g) for e, g in zip(energies, gradients, strict=True)])

    def _map(self, run: Any, tasks: list[tuple[int, Slots]]) -> Iterator[None]:
        return self._pool.map(run, tasks) if self._pool and len(tasks) > 1 else map(run, tasks)

    def _run(self, member: int, part: Slots, species: Integers, vectors: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
        feeds = part.feeds(species, vectors, np.dtype(self._card.dtype))
        if not self.is_strictly_local:
            feeds |= part.links()
        try:
            energies, gradients = self._sessions[member].run(None, {name: feeds[name] for name in self._inputs})
        except Exception as error:
            kind = OutOfMemory if is_out_of_memory(error) else BackendError
            raise kind(f"ONNX Runtime failed on {len(part.atoms)} atoms: {error}") from error
        return energies, gradients


def _open(path: Path, device: str) -> Any:
    runtime = require_onnxruntime(device)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers_for(device))
    except Exception as error:
        raise BackendError(f"ONNX Runtime cannot open {path.name}: {error}") from error
    check_providers(session, device)
    return session


def _assemble(graph: Graph, energies: Floats, vectors: Floats, gradients: Floats) -> Prediction:
    forces = graph.sum_by_centre(gradients) - graph.sum_by_neighbour(gradients)
    virials = np.zeros((len(energies), 3, 3))
    if graph.pbc.all(axis=1).any():
        virials = graph.sum_by_centre(vectors[:, :, None] * gradients[:, None, :])
    return from_atoms(graph, energies, forces, virials)
