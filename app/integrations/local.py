"""A model of a store, opened inside of another program; the client's calculator asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from app.backends import Backend
from app.backends.device import BackendChoice
from app.backends.domain import Domain, Known, OnOod, check_on_ood
from app.errors import InvalidRequest
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.structure import Space
from app.store.location import DEFAULT_MODEL, absolute, default_store


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
        workers: processes over which structures of at least `app.space.structure.LEAST_ATOMS` atoms
            are divided, each with the model; 0 evaluates all here.

    Attributes:
        backend: what computes.

    Raises:
        InvalidRequest: `on_ood` is `error`, and the model's card does not say what it was trained
            on; or workers of a backend that is given.
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
        workers: int = 0,
    ) -> None:
        self.allow_odd_electrons, self.on_ood = allow_odd_electrons, on_ood
        self._opening: Opening | None = None
        if model is None or isinstance(model, str):
            place = absolute(store or default_store())
            opening = Opening(model or DEFAULT_MODEL, place, threads, device, backend)
            self.backend = opening()
            self._opening = replace(opening, model=self.backend.card.reference)
        else:
            self.backend = model
        check_on_ood([self.backend.card], on_ood)
        self._known = Known(self.backend.card)
        self._workers, self._space = workers, self._over(workers)

    def _over(self, workers: int) -> Space | None:
        """What divides structures over so many workers.

        Raises:
            InvalidRequest: no such number, or nothing that a worker could open.
        """
        if not workers:
            return None
        if self._opening is None:
            raise InvalidRequest(
                "workers: each opens the model for itself; give the name of a model of a store in "
                "the place of a backend"
            )
        card, free = self.backend.card, self.backend.is_strictly_local
        return Space(card, free, Pool(self._opening, workers))

    def __getstate__(self) -> dict[str, Any]:
        """All but an open backend, which belongs to its process."""
        state = self.__dict__.copy()
        if self._opening is not None:
            del state["backend"], state["_space"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the model again."""
        self.__dict__.update(state)
        if self._opening is not None:
            self.backend = self._opening()
            self._space = self._over(self._workers)

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
        asked = [self._checked(**fields) for fields in structures]
        domains = [Domain(self._known, structure, on_ood=self.on_ood) for structure in asked]
        if self._space is not None and max(map(len, asked)) >= self._space.least:
            predictions = [
                self._space.evaluate(structure, not energies_alone, domain.look)
                for structure, domain in zip(asked, domains, strict=True)
            ]
        else:
            predictions = self._together(asked, domains, energies_alone)
        pairs = zip(predictions, domains, strict=True)
        return [(domain.stated(each), domain.doubts(each)) for each, domain in pairs]

    def _checked(self, **fields: Any) -> Structure:
        structure = _structure(**fields)
        self.backend.card.check(structure)
        if not self.allow_odd_electrons:
            self.backend.card.check_electrons(structure)
        return structure

    def _together(
        self, structures: Sequence[Structure], domains: Sequence[Domain], energies_alone: bool
    ) -> list[StructurePrediction]:
        """Their predictions, in one evaluation here."""
        graphs = [build_graph(structure, self.backend.card.cutoff) for structure in structures]
        for graph, domain in zip(graphs, domains, strict=True):
            domain.look(Piece.whole(graph))
        graph = collate(graphs)
        return split(self.backend.energies(graph) if energies_alone else self.backend(graph), graph)


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
