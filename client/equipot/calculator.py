"""A model as an ASE calculator, of a service or in this process."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from equipot.client import Client
from equipot.local import Local
from equipot.options import PredictOptions
from equipot.results import AnswerWarning, Result
from equipot.structures import fields_of, state_of

ENERGIES = frozenset({"energy", "free_energy", "energies"})
"""Where nothing else is asked for, no derivatives are computed."""
VALUES = ("energy", "energies", "forces", "energy_std", "forces_std")
"""Of a result, as they stand in `Calculator.results`."""
HERE: dict[str, Any] = {
    "store": None,
    "threads": 0,
    "device": "cpu",
    "backend": "auto",
    "workers": 0,
}
"""What is stated of a model in this process, and is of no use to a service."""
CALM = 100
"""Computations without doubt before the same elements are warned of again: an atom that vibrates
across the edge of the domain would tell it at each swing."""


class OutOfDomainWarning(UserWarning):
    """Atoms are beyond what the model's training data held, or their answer is doubtful otherwise."""


class Remote:
    """A model of a service, asked for one structure at a time.

    Args:
        client: of the service.
        options: of what is asked.
    """

    def __init__(self, client: Client, options: PredictOptions) -> None:
        self._client, self._options = client, options

    def answer(self, fields: Mapping[str, Any], energies_alone: bool) -> Result:
        """The result of one structure.

        Raises:
            EquipotError: there is none.
        """
        options = self._options.copy()
        options["properties"] = ["energy", "energies"]
        if not energies_alone:
            options["properties"] = ["energy", "forces", "stress", "energies"]
        (result,) = self._client.predict(fields, **options).raise_for_errors()
        return result


class EquipotCalculator(Calculator):
    """A model of a service, or of a store in this process, as a calculator of ASE.

    Gives energy (eV; `free_energy` is the same), forces (eV/Å), stress of bulk (eV/Å³, in Voigt's
    order) and the atoms' shares of the energy (eV); `results` has `energy_std` and `forces_std`, too,
    where the model states them. The charge is that of `atoms.info["charge"]`, else the sum of the
    initial charges.

    Energies alone take less time. Forces that are asked for after them are a second evaluation:
    whoever wants both asks for the forces first. Calculators of many threads may share a client:
    what they ask for at the same time meets in a batch of the service. A copy, or what is unpickled
    in another process, makes its own connections, or opens the same version of the model for itself.

    Args:
        model: `name` or `name@version`, of the service or of the store; by default the service's
            default, or the bundled model; or a backend of this process.
        store: folder or URL of the models; by default `EQUIPOT_MODEL_STORE`, else `model_store` of the
            working directory, else the one that comes with Equipot.
        threads: numerics threads; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        backend: what runs a model of the store: `auto`, `onnx`, `aoti` or `kernel`.
        allow_odd_electrons: whether a model of closed shells computes radicals all the same.
        on_ood: what becomes of atoms that are beyond what the model's training data held: `warn`
            computes them, with an `OutOfDomainWarning` for the first ones of the same elements, and
            for the next after 100 in a row that are not; `error` raises.
        workers: processes of this machine over which atoms are divided where there are 1000 or more,
            each with the model; 0 computes all in this process.
        url: of a service; store, threads, device, backend and workers are then its own.
        client: of a service, in the place of its URL.

    Attributes:
        doubts: what is doubtful of the atoms that were computed last.
        asked: the service or the model in this process; `asked.model.backend` is what computes there.

    Raises:
        ValueError: both `url` and `client` are given, or one of them with what only a model in this
            process takes.
        EquipotError: there is no such model in this process, or it cannot be opened.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "energies"]  # noqa: RUF012

    def __init__(
        self,
        model: str | Any | None = None,
        store: Path | str | None = None,
        threads: int = 0,
        device: str = "cpu",
        backend: str = "auto",
        allow_odd_electrons: bool = False,
        on_ood: Literal["warn", "error"] = "warn",
        workers: int = 0,
        *,
        url: str | None = None,
        client: Client | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.doubts: tuple[AnswerWarning, ...] = ()
        self._numbers, self._calm = b"", CALM
        here = {"store": store, "threads": threads, "device": device, "backend": backend}
        here |= {"workers": workers}
        manners = {"allow_odd_electrons": allow_odd_electrons, "on_ood": on_ood}
        self.asked: Remote | Local
        if url is None and client is None:
            self.asked = Local(model=model, **here, **manners)
            return
        if url is not None and client is not None:
            raise ValueError("url and client are given; give one of them")
        if surplus := [name for name, value in here.items() if value != HERE[name]]:
            raise ValueError(
                f"{', '.join(surplus)}: of a model in this process; a service has its own"
            )
        options = PredictOptions(allow_odd_electrons=allow_odd_electrons, on_ood=on_ood)
        if isinstance(model, str):
            options["model"] = model
        elif model is not None:
            raise ValueError("model: a backend computes in this process; give the name of a model")
        self.asked = Remote(client or Client(url or ""), options)

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
            InvalidStructure: two atoms are on one spot, or almost (`AtomsTooClose`, of a model in
                this process). A minimiser whose trial step comes to that may catch it, and take a
                shorter one.
            OutOfDomain: they are beyond the training data, and `on_ood` is `error`.
            InputError: the model cannot answer for these atoms; says why.
            ConnectionFailed: the service cannot be reached.
        """
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        alone = properties is not None and ENERGIES.issuperset(properties)
        result = self.asked.answer(fields_of(self.atoms), alone)
        self._tell(self.atoms, result.warnings)
        values = {name: getattr(result, name) for name in VALUES}
        self.results: dict[str, Any] = {k: v for k, v in values.items() if v is not None}
        self.results["free_energy"] = result.energy
        if result.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(result.stress)

    def _tell(self, atoms: Atoms, doubts: tuple[AnswerWarning, ...]) -> None:
        """Warn where doubts begin, and not at each step of what stays, or swings into, doubt."""
        numbers = atoms.numbers.tobytes()
        if numbers != self._numbers:
            self._numbers, self._calm = numbers, CALM
        if doubts and self._calm >= CALM:
            told = "; ".join(each.message for each in doubts)
            warnings.warn(told, OutOfDomainWarning, stacklevel=3)
        self._calm = 0 if doubts else self._calm + 1
        self.doubts = doubts
