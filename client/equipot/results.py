"""Results: what a service, or a model in this process, answers for structures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from equipot.errors import ServiceError, error_of

if TYPE_CHECKING:
    import pandas
    from ase import Atoms

Floats = NDArray[np.float64]
STRUCTURE = ("symbols", "numbers", "positions", "cell", "pbc", "charge", "multiplicity", "fixed")
"""Fields that say what the structure is."""
UNITS = frozenset({"unit", "units", "length_unit", "length_units", "position_units"})
"""Keys of a frame of XYZ, in lower case, that scale it."""


class AnswerWarning(NamedTuple):
    """A doubt about an answer."""

    code: str
    message: str


class Model(NamedTuple):
    """Which model answered: `digest` is the sha256 of its card, which holds those of its files."""

    name: str
    version: int
    digest: str

    @classmethod
    def of(cls, fields: Mapping[str, Any] | None) -> "Model | None":
        """That of the service's fields; None where these name none."""
        return None if fields is None else cls(**fields)

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Relaxation:
    """How a relaxation ended, and where it began.

    Attributes:
        converged: whether the criterion holds.
        reason: `converged`, `steps` or `exploded: …`.
        criterion: in words.
        fmax: eV/Å, at its end.
        steps: that it took.
        initial_energy: eV, of the structure as sent.
        initial_forces: (N, 3) eV/Å, of the same.
        initial_stress: (3, 3) eV/Å³, of the same.
        initial_energies: (N,) eV, of the same, where asked for.
    """

    converged: bool
    reason: str
    criterion: str
    fmax: float
    steps: int
    initial_energy: float | None
    initial_forces: Floats | None
    initial_stress: Floats | None
    initial_energies: Floats | None


@dataclass(frozen=True, slots=True)
class Result:
    """The answer for one structure: an error, or numbers.

    Of a relaxation that was asked for, the numbers are those of its last geometry, which `atoms` has.

    Attributes:
        id: of the structure, as sent or as its file says.
        index: number of the item that it comes from, in the order asked; a file of many, or a SMILES
            with conformers, gives several results of one item.
        model: that answered.
        error: why there is no answer.
        energy: eV.
        forces: (N, 3) eV/Å, −dE/dR.
        stress: (3, 3) eV/Å³, positive under tension; bulk only.
        energies: (N,) eV, the atoms' shares.
        energy_std: eV; estimated error, where the model states it.
        forces_std: (N,) eV/Å, the same.
        warnings: what is doubtful.
        relaxation: how it ended, where one was asked for.
        value: what a task found, by the names of its fields; None where none was asked for.
        structure: fields of the structure that the numbers belong to, or the frame of XYZ that it was
            sent as; None where not known.
    """

    id: str | None
    index: int
    model: Model | None = None
    error: ServiceError | None = None
    energy: float | None = None
    forces: Floats | None = None
    stress: Floats | None = None
    energies: Floats | None = None
    energy_std: float | None = None
    forces_std: Floats | None = None
    warnings: tuple[AnswerWarning, ...] = ()
    relaxation: Relaxation | None = None
    value: Mapping[str, Any] | None = None
    structure: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.error is None

    @property
    def fmax(self) -> float | None:
        """eV/Å, length of the longest force; of a relaxation, of those that may move the atoms."""
        if self.relaxation is not None:
            return self.relaxation.fmax
        if self.forces is None:
            return None
        return float(np.linalg.norm(self.forces, axis=1).max(initial=0.0))

    @property
    def atoms(self) -> "Atoms":
        """The structure as ASE's atoms, with the numbers as results of its calculator.

        Raises:
            ServiceError: there is no structure, since it could not be read.
            ValueError: the structure is not known here; hand the structures to `jobs.results`.
        """
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.constraints import FixAtoms
        from ase.stress import full_3x3_to_voigt_6_stress

        known = self.structure
        if not known:
            if self.error is not None:
                raise self.error
            raise ValueError(
                "the structure is not known here; hand the structures to jobs.results as well"
            )
        atoms = _atoms(known)
        if self.id is not None:
            atoms.info["id"] = self.id
        if known.get("fixed"):
            atoms.set_constraint(FixAtoms(list(known["fixed"])))
        if self.ok:
            values = {name: getattr(self, name) for name in ("energy", "forces", "energies")}
            if self.stress is not None:
                values["stress"] = full_3x3_to_voigt_6_stress(self.stress)
            given = {name: value for name, value in values.items() if value is not None}
            atoms.calc = SinglePointCalculator(atoms, **given)
        return atoms

    @classmethod
    def of(
        cls,
        fields: Mapping[str, Any],
        index: int,
        model: Model | None,
        sent: Mapping[str, Any] | None = None,
        warnings: tuple[AnswerWarning, ...] = (),
    ) -> Self:
        """That of the service's fields.

        Args:
            fields: of one result.
            index: of its item.
            model: that answered all, where the result does not name its own.
            sent: fields of the item.
            warnings: that stood elsewhere.
        """
        structure = fields.get("structure") or _structure(sent)
        model = Model.of(fields.get("model")) or model
        if fields["status"] == "error":
            error = error_of(fields["error"]["code"], fields["error"]["message"])
            return cls(fields["id"], index, model, error, structure=structure)
        told = tuple(AnswerWarning(**each) for each in fields.get("warnings") or ())
        values, relaxation = fields, None
        if relaxed := fields.get("relaxed"):
            values, relaxation = relaxed, _relaxation(fields, relaxed)
            if structure is not None:
                moved = ("positions", "cell")
                structure = {**structure, **{k: relaxed[k] for k in moved if k in relaxed}}
        return cls(
            fields["id"],
            index,
            model,
            warnings=warnings + told,
            relaxation=relaxation,
            value=fields.get("value"),
            structure=structure,
            energy=values.get("energy"),
            forces=_floats(values.get("forces")),
            stress=_floats(values.get("stress")),
            energies=_floats(values.get("energies")),
            energy_std=values.get("energy_std"),
            forces_std=_floats(values.get("forces_std")),
        )

    def row(self) -> dict[str, Any]:
        """What a table says of it: all that is one number or word."""
        relaxation = self.relaxation
        return {
            "id": self.id,
            "index": self.index,
            "model": None if self.model is None else self.model.reference,
            "energy": self.energy,
            "fmax": self.fmax,
            "converged": None if relaxation is None else relaxation.converged,
            "steps": None if relaxation is None else relaxation.steps,
            "warnings": "; ".join(f"{each.code}: {each.message}" for each in self.warnings),
            "code": None if self.error is None else self.error.code,
            "message": None if self.error is None else self.error.message,
        }


class Results(Sequence[Result]):
    """Results, in the order asked."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = tuple(results)

    @property
    def model(self) -> Model | None:
        """That answered all; None where several did, and each result has its own."""
        models = {result.model for result in self if result.model is not None}
        return models.pop() if len(models) == 1 else None

    @property
    def ok(self) -> "Results":
        """Those with an answer."""
        return Results(result for result in self if result.ok)

    @property
    def failed(self) -> "Results":
        """Those with an error in its place."""
        return Results(result for result in self if not result.ok)

    def raise_for_errors(self) -> Self:
        """The same, if each has an answer.

        Raises:
            ServiceError: of the first one that has none.
        """
        for result in self:
            if result.error is not None:
                raise result.error
        return self

    def to_dataframe(self) -> "pandas.DataFrame":
        """A table with a row for each."""
        import pandas

        columns = list(Result(None, 0).row())
        return pandas.DataFrame([result.row() for result in self], columns=columns)

    @overload
    def __getitem__(self, at: int) -> Result: ...
    @overload
    def __getitem__(self, at: slice) -> "Results": ...
    def __getitem__(self, at: int | slice) -> "Result | Results":
        return Results(self._results[at]) if isinstance(at, slice) else self._results[at]

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __repr__(self) -> str:
        return f"<Results: {len(self.ok)} of {len(self)} answered>"


def _structure(sent: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if sent is not None and sent.get("format") == "xyz":
        return {"content": sent["content"]}
    if sent is None or "positions" not in sent:
        return None
    return {name: sent[name] for name in STRUCTURE if sent.get(name) is not None}


def _atoms(known: Mapping[str, Any]) -> "Atoms":
    """Atoms of fields, or of a frame of XYZ, whose positions and cell may have been relaxed since."""
    from ase import Atoms
    from ase.io import iread

    cell, pbc = known.get("cell"), known.get("pbc")
    if "content" in known:
        atoms: Atoms = next(iread(StringIO(known["content"]), format="extxyz"))
        if UNITS.intersection(str(key).lower() for key in atoms.info):
            raise ValueError("the frame states units of its own; read it with what knows them")
        if "positions" in known:
            atoms.positions = known["positions"]
        if cell is not None:
            atoms.cell[:] = cell
        return atoms
    return Atoms(
        known["symbols"] if "symbols" in known else list(known["numbers"]),
        np.asarray(known["positions"]),
        cell=cell,
        pbc=cell is not None if pbc is None else pbc,
        info={name: known[name] for name in ("charge", "multiplicity") if known.get(name)},
    )


def _relaxation(fields: Mapping[str, Any], relaxed: Mapping[str, Any]) -> Relaxation:
    course = {name: relaxed[name] for name in ("converged", "reason", "criterion", "fmax", "steps")}
    return Relaxation(
        **course,
        initial_energy=fields.get("energy"),
        initial_forces=_floats(fields.get("forces")),
        initial_stress=_floats(fields.get("stress")),
        initial_energies=_floats(fields.get("energies")),
    )


def _floats(value: Any) -> Floats | None:
    return None if value is None else np.asarray(value, dtype=np.float64)
