"""The ONNX backend: an exported model, evaluated in portions that fit the processor's cache.

The artifact gives per-atom energies and their gradient by the edge vectors. What remains is two sums, done
here: F_i = Σ_j g_ij − Σ_j g_ji, and the virial Σ r_ij ⊗ g_ij (see `app.training.derivatives`). Where the version has
it, a second artifact gives the energies alone. A committee has an artifact a member; each runs on the same portions,
and the answer is the mean.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.backends import worker_threads
from app.backends.layout import Slots, portions
from app.backends.runtime import Device, is_out_of_memory
from app.backends.session import OUTPUTS, Artifact, Execution, Feeds, bucket, open_artifact
from app.errors import BackendError, OutOfMemory
from app.graph import Graph
from app.prediction import Prediction, committee, from_atoms
from app.store import ARTIFACT, ENERGIES, ModelCard, member_files
from app.structure import Floats, Integers

SLOTS_PER_RUN = {"cpu": 2048, "cuda": 1 << 18}
"""Edge slots a run of the session: on a CPU what stays in its cache, on a GPU what keeps it busy."""
ON_GPU = 2
"""Threads with a GPU: one lays out a portion while that of the other one is on the device."""


class OnnxBackend:
    """A model, or the members of a committee, in ONNX Runtime.

    Args:
        card: what the model is.
        folder: where `model.onnx` is, with `model-1.onnx`, … beside it if it has several members; and the like of
            `energies.onnx`, if the card says that they are there.
        threads: portions evaluated at the same time, whoever calls; 0 takes all cores the process may use.
        device: `cpu`, `cuda` or `cuda:1`; never another one than that.
        deterministic: no portion has atoms of two structures, so that the sizes of all that is computed, and with
            them the order of all sums, depend on the structure alone.
        execution: how arrays get in and out; None chooses by the device.
        slots: most edge slots of a portion; 0 chooses by the device.

    Attributes:
        artifacts: one a member.
        energy_artifacts: those that give the energies alone, or the same.
        threads: of one evaluation.

    Raises:
        BackendError: the runtime is missing, cannot use the device, or cannot read the artifact.
    """

    def __init__(
        self,
        card: ModelCard,
        folder: Path,
        threads: int = 0,
        device: str = "cpu",
        deterministic: bool = False,
        execution: Execution | None = None,
        slots: int = 0,
    ) -> None:
        place = Device.of(device)
        self._card = card
        self._apart = deterministic
        chosen = Execution.of(place) if execution is None else execution
        self.threads = ON_GPU if place.is_cuda else worker_threads(threads)

        def opened(name: str, members: int) -> list[Artifact]:
            files = member_files(name, members)
            return [open_artifact(folder / file, place, chosen, deterministic) for file in files]

        self.artifacts = opened(ARTIFACT, card.members)
        self.energy_artifacts = opened(ENERGIES, card.members) if card.energies_alone else self.artifacts
        self._slots = slots or SLOTS_PER_RUN[place.kind]
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="onnx")

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    @property
    def is_strictly_local(self) -> bool:
        """Whether any portion of the atoms can be evaluated without the others."""
        return "neighbors" not in self.artifacts[0].inputs

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of every structure of the graph.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: ONNX Runtime failed.
        """
        vectors = graph.edge_vectors()
        gradients = np.zeros((len(self.artifacts), *vectors.shape))
        energies = self._evaluate(self.artifacts, graph, vectors, gradients)
        return committee([_assemble(graph, e, vectors, g) for e, g in zip(energies, gradients, strict=True)])

    def energies(self, graph: Graph) -> Prediction:
        """Energies of every structure of the graph, without derivatives.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: ONNX Runtime failed.
        """
        found = self._evaluate(self.energy_artifacts, graph, graph.edge_vectors())
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
                gradients[member, part.edges] = slopes[0]

        for _ in self._pool.map(run, product(range(len(artifacts)), self.portions(graph))):
            pass
        return energies

    def portions(self, graph: Graph) -> list[Slots]:
        """What of a graph is evaluated in one run each."""
        return portions(graph, self._slots, whole_structures=not self.is_strictly_local, apart=self._apart)

    def _run(
        self, artifact: Artifact, wanted: Sequence[str], part: Slots, species: Integers, vectors: Floats
    ) -> list[NDArray[Any]]:
        """(n,) energies of a portion and, if wanted, (m, 3) gradients of its edges."""
        if artifact.execution >= Execution.BUCKETS:
            part = part.padded(*bucket(*part.mask.shape))
        feeds = self._feeds(part, species, vectors)
        try:
            energies, *gradients = artifact.run(wanted, feeds)
        except Exception as error:
            kind = OutOfMemory if is_out_of_memory(error) else BackendError
            raise kind(f"ONNX Runtime failed on {len(part.atoms)} atoms: {error}") from error
        return [energies[: len(part.atoms)], *(g[part.mask] for g in gradients)]

    def _feeds(self, part: Slots, species: Integers, vectors: Floats) -> Feeds:
        feeds = part.feeds(species, vectors, np.dtype(self._card.dtype))
        return feeds if self.is_strictly_local else feeds | part.links()


def _assemble(graph: Graph, energies: Floats, vectors: Floats, gradients: Floats) -> Prediction:
    forces = graph.sum_by_centre(gradients) - graph.sum_by_neighbour(gradients)
    virials = np.zeros((len(energies), 3, 3))
    if graph.pbc.all(axis=1).any():
        virials = graph.sum_by_centre(np.einsum("ea,eb->eab", vectors, gradients))
    return from_atoms(graph, energies, forces, virials)
