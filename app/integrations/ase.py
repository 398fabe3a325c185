"""A model as an ASE calculator, for molecular dynamics and all else that ASE does."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from app.atoms.decomposition import Piece
from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.atoms.warnings import AnswerWarning
from app.backends import Backend, load_backend
from app.backends.device import BackendChoice
from app.backends.domain import Domain, Known, OnOod, check_on_ood
from app.formats.ase_atoms import from_ase, state_of
from app.store.location import DEFAULT_MODEL, default_store
from app.store.store import ModelStore

ENERGIES = frozenset({"energy", "free_energy", "energies"})
"""Where nothing else is asked for, no derivatives are computed."""
ESTIMATES = ("energy_std", "forces_std")
"""Beside what is asked for, of a model that states them."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """How a model of a store is opened, so that a copy can do it again."""

    model: str
    store: Path
    threads: int
    device: str
    backend: BackendChoice

    def __call__(self) -> Backend:
        return load_backend(
            ModelStore(self.store).load(self.model),
            threads=self.threads,
            device=self.device,
            backend=self.backend,
        )


class OutOfDomainWarning(UserWarning):
    """Atoms are beyond what the model's training data held."""


class EquipotCalculator(Calculator):
    """A model of a store, or a backend, as a calculator of ASE.

    Gives energy (eV), forces (eV/Å), stress of bulk (eV/Å³, in Voigt's order) and the atoms' shares
    of the energy (eV); `results` has `energy_std` and `forces_std`, too, where the model states
    them. The charge is that of `atoms.info`, else the sum of the initial charges.

    Energies alone take less time. Forces that are asked for after them are a second evaluation:
    whoever wants both asks for the forces first. A copy, or what is unpickled in another process,
    opens the same version of the model for itself.

    Args:
        model: `name` or `name@version` of the store, or a backend; the bundled model by default.
        store: folder of the models; by default `EQUIPOT_MODEL_STORE`, else `model_store` of the
            working directory, else the one that comes with Equipot.
        threads: numerics threads; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        backend: what runs a model of the store: `auto`, `onnx` or `aoti`.
        allow_odd_electrons: whether a model of closed shells computes radicals all the same.
        on_ood: what becomes of atoms that are beyond what the model's training data held: `warn`
            computes them, with an `OutOfDomainWarning` for the first ones after others that are
            not; `error` raises.

    Attributes:
        doubts: what is out of domain of the atoms that were computed last.

    Raises:
        InvalidRequest: `on_ood` is `error`, and the model's card does not say what it was trained on.
        UnknownModel: no such model.
        BackendError: the runtime is missing or cannot use the device or the artifact.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "energies"]  # noqa: RUF012

    def __init__(
        self,
        model: str | Backend = DEFAULT_MODEL,
        store: Path | str | None = None,
        threads: int = 0,
        device: str = "cpu",
        backend: BackendChoice = "auto",
        allow_odd_electrons: bool = False,
        on_ood: OnOod = "warn",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.allow_odd_electrons = allow_odd_electrons
        self.on_ood = on_ood
        self.doubts: tuple[AnswerWarning, ...] = ()
        self._opening: _Opening | None = None
        if isinstance(model, str):
            folder = (Path(store) if store else default_store()).resolve()
            opening = _Opening(model, folder, threads, device, backend)
            self.backend = opening()
            card = self.backend.card
            self._opening = replace(opening, model=card.reference)
        else:
            self.backend = model
        check_on_ood(self.backend.card, on_ood)
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

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; ASE does not look at the charge and the spin
        in `info`.
        """
        changes: list[str] = super().check_state(atoms, tol)  # type: ignore[no-untyped-call]
        if not changes and self.atoms is not None and state_of(atoms) != state_of(self.atoms):
            changes = ["initial_charges"]
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate; called by ASE.

        Raises:
            AtomsTooClose: two atoms are on one spot, or almost. A minimiser whose trial step comes to
                that may catch it, and take a shorter one.
            OutOfDomain: they are beyond the training data, and `on_ood` is `error`.
            InputError: the model cannot answer for these atoms; says why.
        """
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        structure = from_ase(self.atoms)
        self.backend.card.check(structure)
        if not self.allow_odd_electrons:
            self.backend.card.check_electrons(structure)
        graph = build_graph(structure, self.backend.card.cutoff)
        domain = Domain(self._known, structure, on_ood=self.on_ood)
        domain.look(Piece.whole(graph))
        alone = properties is not None and ENERGIES.issuperset(properties)
        (prediction,) = split(self.backend.energies(graph) if alone else self.backend(graph), graph)
        self._tell(domain.doubts(prediction))
        self.results: dict[str, Any] = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "energies": prediction.energies,
        }
        if prediction.forces is not None:
            self.results["forces"] = prediction.forces
        for name in ESTIMATES:
            if (value := getattr(prediction, name)) is not None:
                self.results[name] = value
        if prediction.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress)

    def _tell(self, doubts: tuple[AnswerWarning, ...]) -> None:
        """Warn where doubts begin, and not at each step of what stays doubtful."""
        if doubts and not self.doubts:
            told = "; ".join(each.message for each in doubts)
            warnings.warn(told, OutOfDomainWarning, stacklevel=2)
        self.doubts = doubts
