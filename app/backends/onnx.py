"""The ONNX backend: an exported model, evaluated in portions that fit the processor's cache.

The artifact gives per-atom energies and their gradient by the edge vectors. What remains is two sums, done
here: F_i = Σ_j g_ij − Σ_j g_ji, and the virial Σ r_ij ⊗ g_ij (see `app.training.derivatives`). Where the version has
it, a second artifact gives the energies alone. A committee has an artifact a member; each runs on the same portions,
and the answer is the mean.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from app.store import ARTIFACT, ENERGIES, ModelCard, member_files
from app.structure import Floats, Integers

SLOTS_PER_RUN = {"cpu": 2048, "cuda": 1 << 20}
"""Edge slots a run of the session: on a CPU what stays in its cache, on a GPU what its memory holds."""
OUTPUTS = ("energies", "edge_gradients")


@dataclass(frozen=True, slots=True)
class Artifact:
    """An opened artifact, and what it takes."""

    session: Any
    inputs: tuple[str, ...]


class OnnxBackend:
    """A model, or the members of a committee, in ONNX Runtime.

    Args:
        card: what the model is.
        folder: where `model.onnx` is, with `model-1.onnx`, … beside it if it has several members; and the like of
            `energies.onnx`, if the card says that they are there.
        threads: portions evaluated at the same time, whoever calls; 0 takes all cores the process may use.
        device: `cpu` or `cuda`.
        deterministic: no portion has atoms of two structures, so that the sizes of all that is computed, and with
            them the order of all sums, depend on the structure alone.

    Raises:
        BackendError: the runtime is missing, cannot use the device, or cannot read the artifact.
    """

    def __init__(
        self, card: ModelCard, folder: Path, threads: int = 0, device: str = "cpu", deterministic: bool = False
    ) -> None:
        self._card = card
        self._apart = deterministic
        self.threads = worker_threads(threads) if device == "cpu" else 1
        self._artifacts = [_open(folder / name, device, deterministic) for name in member_files(ARTIFACT, card.members)]
        alone = member_files(ENERGIES, card.members) if card.energies_alone else []
        self._energy_artifacts = [_open(folder / name, device, deterministic) for name in alone] or self._artifacts
        self._slots = SLOTS_PER_RUN[device]
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="onnx")

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    @property
    def is_strictly_local(self) -> bool:
        """Whether any portion of the atoms can be evaluated without the others."""
        return "neighbors" not in self._artifacts[0].inputs

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of every structure of the graph.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: ONNX Runtime failed.
        """
        vectors = graph.edge_vectors()
        gradients = np.zeros((len(self._artifacts), *vectors.shape))
        energies = self._evaluate(self._artifacts, graph, vectors, gradients)
        return committee([_assemble(graph, e, vectors, g) for e, g in zip(energies, gradients, strict=True)])

    def energies(self, graph: Graph) -> Prediction:
        """Energies of every structure of the graph, without derivatives.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: ONNX Runtime failed.
        """
        found = self._evaluate(self._energy_artifacts, graph, graph.edge_vectors())
        return committee([from_atoms(graph, energies) for energies in found])

    def _evaluate(
        self, artifacts: Sequence[Artifact], graph: Graph, vectors: Floats, gradients: Floats | None = None
    ) -> Floats:
        """(M, N), eV: each member's energies; its gradients, (M, E, 3) in eV/Å, are written where some are given."""
        species = self._card.species(graph.numbers)
        energies: Floats = np.tile(self._card.references(species), (len(artifacts), 1))
        wanted = OUTPUTS[:1] if gradients is None else OUTPUTS

        def run(task: tuple[int, Slots]) -> None:
            member, part = task
            shares, *slopes = self._run(artifacts[member], wanted, part, species, vectors)
            energies[member, part.atoms] += shares
            if gradients is not None:
                gradients[member, part.edges] = slopes[0][part.mask]

        parts = portions(graph, self._slots, whole_structures=not self.is_strictly_local, apart=self._apart)
        for _ in self._pool.map(run, product(range(len(artifacts)), parts)):
            pass
        return energies

    def _run(
        self, artifact: Artifact, wanted: Sequence[str], part: Slots, species: Integers, vectors: Floats
    ) -> list[NDArray[Any]]:
        feeds = part.feeds(species, vectors, np.dtype(self._card.dtype))
        if not self.is_strictly_local:
            feeds |= part.links()
        try:
            found: list[NDArray[Any]] = artifact.session.run(wanted, {name: feeds[name] for name in artifact.inputs})
        except Exception as error:
            kind = OutOfMemory if is_out_of_memory(error) else BackendError
            raise kind(f"ONNX Runtime failed on {len(part.atoms)} atoms: {error}") from error
        return found


def _open(path: Path, device: str, deterministic: bool) -> Artifact:
    runtime = require_onnxruntime(device)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.use_deterministic_compute = deterministic
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers_for(device))
    except Exception as error:
        raise BackendError(f"ONNX Runtime cannot open {path.name}: {error}") from error
    check_providers(session, device)
    return Artifact(session, tuple(i.name for i in session.get_inputs()))


def _assemble(graph: Graph, energies: Floats, vectors: Floats, gradients: Floats) -> Prediction:
    forces = graph.sum_by_centre(gradients) - graph.sum_by_neighbour(gradients)
    virials = np.zeros((len(energies), 3, 3))
    if graph.pbc.all(axis=1).any():
        virials = graph.sum_by_centre(vectors[:, :, None] * gradients[:, None, :])
    return from_atoms(graph, energies, forces, virials)
