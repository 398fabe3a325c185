"""The backend of exported models in any runtime, in portions that fit a processor's cache.

An artifact gives per-atom energies and their gradient by the edge vectors. What remains is two
sums, done here: F_i = Σ_j g_ij − Σ_j g_ji, and the virial Σ r_ij ⊗ g_ij (see
`app.training.models.derivatives`). Where the version has it, a second artifact gives the energies
alone. A committee has an artifact a member; each runs on the same portions, and the answer is the
mean. `app.backends.onnx` and `app.backends.aoti` open the artifacts.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.atoms.graph import Graph
from app.atoms.prediction import AtomErrors, Prediction, committee, from_atoms
from app.atoms.structure import Floats, Integers
from app.backends.artifact import (
    ERRORS,
    OUTPUTS,
    Artifact,
    Execution,
    Feeds,
    is_out_of_memory,
)
from app.backends.layout import Slots, portions
from app.backends.onnx_session import bucket
from app.errors import BackendError, OutOfMemory
from app.store.card import ModelCard


class ExportedBackend:
    """A model, or the members of a committee, as opened artifacts.

    Args:
        card: what the model is.
        artifacts: one a member.
        energy_artifacts: those that give the energies alone, or the same.
        runtime: name and version of what runs them.
        threads: portions evaluated at the same time, whoever calls.
        slots: most edge slots of a portion.
        deterministic: no portion has atoms of two structures, so that the sizes of all that is
            computed, and with them the order of all sums, depend on the structure alone.
        on_thread: what each thread does first.
    """

    def __init__(
        self,
        card: ModelCard,
        artifacts: Sequence[Artifact],
        energy_artifacts: Sequence[Artifact],
        *,
        runtime: str,
        threads: int,
        slots: int,
        deterministic: bool = False,
        on_thread: Callable[[], object] | None = None,
    ) -> None:
        self._card = card
        self.artifacts, self.energy_artifacts = artifacts, energy_artifacts
        self.runtime, self.threads = runtime, threads
        self._slots, self._apart = slots, deterministic
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="backend", initializer=on_thread
        )

    def close(self) -> None:
        """End its threads; it cannot be called afterwards."""
        self._pool.shutdown()

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
            BackendError: the runtime failed.
        """
        vectors = graph.edge_vectors()
        gradients = np.zeros((len(self.artifacts), *vectors.shape))
        energies, errors = self._evaluate(self.artifacts, graph, vectors, gradients)
        return committee(
            [
                _assemble(graph, e, vectors, g, errors)
                for e, g in zip(energies, gradients, strict=True)
            ]
        )

    def energies(self, graph: Graph) -> Prediction:
        """Energies of every structure of the graph, without derivatives.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
            OutOfMemory: the graph does not fit into the device's memory.
            BackendError: the runtime failed.
        """
        members, errors = self._evaluate(self.energy_artifacts, graph, graph.edge_vectors())
        return committee([from_atoms(graph, energies, errors=errors) for energies in members])

    def _evaluate(
        self,
        artifacts: Sequence[Artifact],
        graph: Graph,
        vectors: Floats,
        gradients: Floats | None = None,
    ) -> tuple[Floats, AtomErrors | None]:
        """(M, N), eV: each member's energies; and what a single model estimates of its errors.

        Its gradients, (M, E, 3) in eV/Å, are written where some are given.
        """
        species = self._card.species(graph.numbers)
        energies: Floats = np.tile(self._card.references(graph), (len(artifacts), 1))
        wanted = OUTPUTS[:1] if gradients is None else OUTPUTS
        errors = np.zeros((len(ERRORS), len(species))) if self._card.uncertainty else None
        if errors is not None:
            wanted = (*wanted, *ERRORS)

        def run(task: tuple[int, Slots]) -> None:
            member, part = task
            found = self._run(artifacts[member], wanted, part, species, vectors)
            energies[member, part.atoms] += found["energies"]
            if gradients is not None:
                gradients[member, part.edges] = found["edge_gradients"]
            if errors is not None:
                errors[:, part.atoms] = [found[name] for name in ERRORS]

        for _ in self._pool.map(run, product(range(len(artifacts)), self.portions(graph))):
            pass
        return energies, None if errors is None else AtomErrors(*errors)

    def portions(self, graph: Graph) -> list[Slots]:
        """What of a graph is evaluated in one run each."""
        return portions(
            graph, self._slots, whole_structures=not self.is_strictly_local, apart=self._apart
        )

    def _run(
        self,
        artifact: Artifact,
        wanted: Sequence[str],
        part: Slots,
        species: Integers,
        vectors: Floats,
    ) -> dict[str, NDArray[Any]]:
        """What is wanted of a portion, (n,) or, the gradients of its edges, (m, 3)."""
        if artifact.execution >= Execution.BUCKETS:
            part = part.padded(*bucket(*part.mask.shape))
        feeds = self._feeds(part, species, vectors)
        try:
            answers = dict(zip(wanted, artifact.run(wanted, feeds), strict=True))
        except Exception as error:
            kind = OutOfMemory if is_out_of_memory(error) else BackendError
            raise kind(f"{self.runtime} failed on {len(part.atoms)} atoms: {error}") from error
        if OUTPUTS[1] in answers:
            answers[OUTPUTS[1]] = answers[OUTPUTS[1]][part.mask]
        return {
            name: values if name == OUTPUTS[1] else values[: len(part.atoms)]
            for name, values in answers.items()
        }

    def _feeds(self, part: Slots, species: Integers, vectors: Floats) -> Feeds:
        dtype = np.dtype(self._card.dtype)
        feeds = part.feeds(species, vectors, dtype)
        if self._card.takes_charge:
            feeds |= part.charges(dtype)
        return feeds if self.is_strictly_local else feeds | part.links()


def _assemble(
    graph: Graph,
    energies: Floats,
    vectors: Floats,
    gradients: Floats,
    errors: AtomErrors | None,
) -> Prediction:
    forces = graph.sum_by_centre(gradients) - graph.sum_by_neighbour(gradients)
    virials = np.zeros((len(energies), 3, 3))
    if graph.pbc.all(axis=1).any():
        virials = graph.sum_by_centre(np.einsum("ea,eb->eab", vectors, gradients))
    return from_atoms(graph, energies, forces, virials, errors)
