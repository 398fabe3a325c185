"""A model of a store, opened inside of another program; the client's calculator asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from app.atoms.decomposition import Piece
from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends import Backend, load_backend
from app.backends.device import BackendChoice
from app.backends.domain import Domain, Known, OnOod, check_on_ood
from app.store.location import DEFAULT_MODEL, Place, absolute, default_store, open_store


@dataclass(frozen=True, slots=True)
class _Opening:
    """How a model of a store is opened, so that a copy can do it again."""

    model: str
    store: Place
    threads: int
    device: str
    backend: BackendChoice

    def __call__(self) -> Backend:
        return load_backend(
            open_store(self.store).load(self.model),
            threads=self.threads,
            device=self.device,
            backend=self.backend,
        )


class LocalModel:
    """A model of a store, or a backend, that answers for one structure after the other.

    A copy, or what is unpickled in another process, opens the same version of the model for itself.

    Args:
        model: `name` or `name@version` of the store, or a backend; the bundled model by default.
        store: folder or URL of the models; by default `EQUIPOT_MODEL_STORE`, else `model_store` of the
            working directory, else the one that comes with Equipot.
        threads: numerics threads; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        backend: what runs a model of the store: `auto`, `onnx`, `aoti` or `kernel`.
        allow_odd_electrons: whether a model of closed shells computes radicals all the same.
        on_ood: what becomes of atoms that are beyond what the model's training data held: `warn`
            or `error`.

    Attributes:
        backend: what computes.

    Raises:
        InvalidRequest: `on_ood` is `error`, and the model's card does not say what it was trained on.
        UnknownModel: no such model.
        BackendError: the runtime is missing or cannot use the device or the artifact.
    """

    def __init__(
        self,
        model: str | Backend | None = None,
        store: Path | str | None = None,
        threads: int = 0,
        device: str = "cpu",
        backend: BackendChoice = "auto",
        allow_odd_electrons: bool = False,
        on_ood: OnOod = "warn",
    ) -> None:
        self.allow_odd_electrons, self.on_ood = allow_odd_electrons, on_ood
        self._opening: _Opening | None = None
        if model is None or isinstance(model, str):
            place = absolute(store or default_store())
            opening = _Opening(model or DEFAULT_MODEL, place, threads, device, backend)
            self.backend = opening()
            self._opening = replace(opening, model=self.backend.card.reference)
        else:
            self.backend = model
        check_on_ood([self.backend.card], on_ood)
        self._known = Known(self.backend.card)

    def __getstate__(self) -> dict[str, Any]:
        """All but an open backend, which belongs to its process."""
        state = self.__dict__.copy()
        if self._opening is not None:
            del state["backend"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the model again."""
        self.__dict__.update(state)
        if self._opening is not None:
            self.backend = self._opening()

    def answer(
        self,
        numbers: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike | None = None,
        pbc: ArrayLike = False,
        charge: int = 0,
        multiplicity: int | None = None,
        *,
        energies_alone: bool = False,
    ) -> tuple[StructurePrediction, tuple[AnswerWarning, ...]]:
        """The prediction for a structure, and what of it is out of the model's domain.

        Args:
            numbers: (N) atomic numbers.
            positions: (N, 3) Å.
            cell: (3, 3) Å, rows are lattice vectors.
            pbc: whether it is periodic, of all axes or of each.
            charge: total charge, in elementary charges.
            multiplicity: 2S+1.
            energies_alone: whether no derivatives are wanted.

        Raises:
            AtomsTooClose: two atoms are on one spot, or almost.
            OutOfDomain: it is beyond the training data, and `on_ood` is `error`.
            InputError: the model cannot answer for this structure; says why.
        """
        fields = {"numbers": numbers, "positions": positions, "cell": cell, "pbc": pbc}
        stated = {"charge": charge, "multiplicity": multiplicity}
        return self.answers([{**fields, **stated}], energies_alone)[0]

    def answers(
        self, structures: Sequence[Mapping[str, Any]], energies_alone: bool = False
    ) -> list[tuple[StructurePrediction, tuple[AnswerWarning, ...]]]:
        """The same of several structures, by the names of `answer`, in one evaluation.

        Raises:
            InputError: as `answer`; one structure without an answer leaves none to the others.
        """
        graphs, domains = [], []
        for fields in structures:
            structure = _structure(**fields)
            self.backend.card.check(structure)
            if not self.allow_odd_electrons:
                self.backend.card.check_electrons(structure)
            graphs.append(build_graph(structure, self.backend.card.cutoff))
            domains.append(Domain(self._known, structure, on_ood=self.on_ood))
            domains[-1].look(Piece.whole(graphs[-1]))
        graph = collate(graphs)
        evaluated = self.backend.energies(graph) if energies_alone else self.backend(graph)
        predictions = split(evaluated, graph)
        pairs = zip(predictions, domains, strict=True)
        return [(domain.stated(each), domain.doubts(each)) for each, domain in pairs]


def _structure(
    numbers: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike | None = None,
    pbc: ArrayLike = False,
    charge: int = 0,
    multiplicity: int | None = None,
) -> Structure:
    return Structure(
        np.asarray(numbers, dtype=np.int64),
        np.asarray(positions),
        np.zeros((3, 3)) if cell is None else np.asarray(cell),
        np.asarray(pbc),
        charge,
        multiplicity,
    )
