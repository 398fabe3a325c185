"""ModelCard: what a model is, and which files a version of it has."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from ase.data import chemical_symbols
from pydantic import Field, field_validator, model_validator

from app.atoms.graph import Graph
from app.atoms.structure import Floats, Integers, Structure
from app.errors import CorruptModel, UnsupportedCharge, UnsupportedElement
from app.store.certificate import Certificate, Part, Probe, Uncertainty
from app.store.imported import Imported
from app.store.training_range import TrainingRange

ARTIFACT = "model.onnx"
ENERGIES = "energies.onnx"
"""The part of the artifact that gives the energies, without their gradient."""
PACKAGE, ENERGY_PACKAGE = "model.pt2", "energies.pt2"
"""The same as packages of AOTInductor."""
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
_OF_A_MEMBER = re.compile(r"model(-\d+)?\.onnx")
LATEST_VERSION = 999_999_999
MOST_MEMBERS = 64
LONGEST_CUTOFF = 30.0
"""Å; a crystal's atom has ten thousand neighbours within it."""
LARGEST_REFERENCE = 1e7
"""eV; all electrons of the heaviest element have a tenth of it."""

FileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$")]
Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text: TypeAlias = Annotated[str, Field(max_length=10_000)]
Energy: TypeAlias = Annotated[float, Field(ge=-LARGEST_REFERENCE, le=LARGEST_REFERENCE)]


class Packages(Part):
    """What the packages of AOTInductor were compiled with and for."""

    torch: str = Field(description="version, the only one that can load them")
    machine: str = Field(description="kind of processor, as in `x86_64`")
    capability: Literal["AVX2", "AVX512"] = Field(description="vector instructions that they use")
    inputs: tuple[str, ...] = Field(description="what they take, in this order")
    certificate: Certificate | None = None


class Kernel(Part):
    """The native kernel that was found to give what the model gives."""

    runtime: str = Field(description="name and version, and the vector instructions that it used")
    certificate: Certificate


class PairParameters(Part):
    """Lennard-Jones parameters of one element."""

    epsilon: float = Field(gt=0, le=1000, description="eV")
    sigma: float = Field(gt=0, le=LONGEST_CUTOFF, description="Å")


class Origin(Part):
    """The model from whose weights another one was trained further."""

    name: str = Field(description="of a model of the store, or of the folder of a training run")
    version: int | None = Field(default=None, ge=1, description="none where it is a training run")
    digest: str = Field(description="sha256 of the model's card, or of the run's weights")

    @property
    def reference(self) -> str:
        """`name@version`, or the run's name."""
        return self.name if self.version is None else f"{self.name}@{self.version}"


class ModelCard(Part):
    """What a model is, what it may be asked, and what is known of its errors."""

    format_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN, max_length=128)
    version: int = Field(ge=1, le=LATEST_VERSION)
    description: Text
    architecture: Text
    backend: Literal["onnx", "pair"]
    elements: tuple[str, ...] = Field(
        min_length=1,
        max_length=len(chemical_symbols),
        description="chemical symbols, in the order of the model's species",
    )
    atomic_energies: dict[str, Energy] = Field(
        description="eV, reference energy added for each atom of an element"
    )
    lone_ions: dict[str, dict[int, Energy]] = Field(
        default_factory=dict,
        description="eV, energy of a single charged atom, by element and charge; others are refused",
    )
    charge_energies: dict[int, Energy] = Field(
        default_factory=dict,
        description="eV, reference energy of a total charge, shared equally by the structure's atoms",
    )
    cutoff: float = Field(gt=0, le=LONGEST_CUTOFF, description="Å")
    receptive_field: float = Field(
        gt=0,
        le=100 * LONGEST_CUTOFF,
        description="Å; how far an atom's energy can depend on others",
    )
    dtype: Literal["float32", "float64"]
    takes_charge: bool = False
    closed_shell: bool = Field(
        default=True, description="whether molecules with an odd number of electrons are refused"
    )
    parameters: int = Field(ge=0, default=0, description="of all members together")
    members: int = Field(
        ge=1,
        le=MOST_MEMBERS,
        default=1,
        description="models whose mean is the answer; several give its uncertainty",
    )
    energies_alone: bool = Field(
        default=False,
        description="whether it has artifacts that give the energies without their gradient",
    )
    uncertainty: Uncertainty | None = Field(
        default=None, description="where a single model estimates its errors"
    )
    trained_on: TrainingRange | None = Field(
        default=None, description="none of analytic models, and of those published before 0.1.0"
    )
    fine_tuned_from: Origin | None = None
    imported: Imported | None = Field(
        default=None, description="where it comes from, if it was trained with another package"
    )
    created: Text = ""
    license: Text = ""
    limitations: tuple[Text, ...] = ()
    metrics: dict[str, Any] = Field(default_factory=dict)
    certificate: Certificate | None = None
    probe: Probe | None = Field(default=None, description="none on cards of before there were any")
    aoti: Packages | None = Field(
        default=None, description="none where the version has no packages of AOTInductor"
    )
    kernel: Kernel | None = Field(
        default=None,
        description="none where the kernel was not there at the export, or cannot run the model",
    )
    pair: dict[str, PairParameters] = Field(default_factory=dict)
    files: dict[FileName, Digest] = Field(
        default_factory=dict,
        max_length=1024,
        description="sha256 of every other file of the version",
    )

    @field_validator("elements")
    @classmethod
    def _are_elements(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        """Each a chemical symbol, and none twice."""
        for place, symbol in enumerate(symbols):
            if symbol not in chemical_symbols[1:]:
                raise ValueError(f"'{symbol:.20}' is no chemical symbol")
            if symbol in symbols[:place]:
                raise ValueError(f"{symbol} is given twice")
        return symbols

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("atomic_energies", "lone_ions", "pair"):
            for symbol in getattr(self, name):
                if symbol not in self.elements:
                    raise ValueError(f"{name} has '{symbol:.20}', which is none of the elements")
        if self.receptive_field < self.cutoff:
            raise ValueError(
                f"receptive_field {self.receptive_field} is shorter than cutoff {self.cutoff}"
            )
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, which computes anew what follows from the fields."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("species_of_numbers", None)
        return copied

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def artifacts(self) -> list[str]:
        """Names of the files that its backends open."""
        if self.backend != "onnx":
            return []
        names = [ARTIFACT, ENERGIES] if self.energies_alone else [ARTIFACT]
        if self.aoti is not None:
            names += [PACKAGE, ENERGY_PACKAGE]
        return [file for name in names for file in member_files(name, self.members)]

    def check_files(self) -> None:
        """Whether `files` has what the backends open, and no more members than there are.

        Raises:
            CorruptModel: it has not.
        """
        for artifact in self.artifacts:
            if artifact not in self.files:
                raise CorruptModel(f"its card has no digest of {artifact}")
        listed = [name for name in self.files if _OF_A_MEMBER.fullmatch(name)]
        if self.backend == "onnx" and len(listed) > self.members:
            raise CorruptModel(
                f"its card has members: {self.members}, but lists {', '.join(sorted(listed))}"
            )

    @property
    def numbers(self) -> Integers:
        """(S,) atomic numbers of the elements."""
        return np.array(
            [chemical_symbols.index(symbol) for symbol in self.elements], dtype=np.int64
        )

    @cached_property
    def species_of_numbers(self) -> Integers:
        """Index into `elements` by atomic number; −1 for elements that the model does not know."""
        table = np.full(len(chemical_symbols), -1, dtype=np.int64)
        table[self.numbers] = np.arange(len(self.elements))
        return table

    def species(self, numbers: Integers) -> Integers:
        """(N,) index into `elements` of each atom.

        Raises:
            UnsupportedElement: naming the atom, and the elements that the model knows.
        """
        species: Integers = self.species_of_numbers[numbers]
        if species.min(initial=0) < 0:
            atom = int(species.argmin())
            raise UnsupportedElement(
                f"atom {atom} is {chemical_symbols[numbers[atom]]}, which model '{self.name}' was not trained on; "
                f"it knows {', '.join(self.elements)}"
            )
        return species

    def references(self, graph: Graph) -> Floats:
        """(N,), eV: the reference energy of each atom and its share of that of the charge, or the
        energy of a lone ion.

        Raises:
            UnsupportedElement: as for `species`.
        """
        table = np.array([self.atomic_energies.get(symbol, 0.0) for symbol in self.elements])
        references: Floats = table[self.species(graph.numbers)]
        ends = np.cumsum(graph.n_atoms)
        for structure in np.flatnonzero(graph.charge):
            atoms = slice(ends[structure] - graph.n_atoms[structure], ends[structure])
            charge, size = int(graph.charge[structure]), int(graph.n_whole[structure])
            if size == 1 and not graph.n_edges[structure]:
                ions = self.lone_ions.get(chemical_symbols[graph.numbers[atoms.start]], {})
                references[atoms] = ions.get(charge, references[atoms])
            else:
                references[atoms] += self.charge_energies.get(charge, 0.0) / size
        return references

    def check(self, structure: Structure) -> None:
        """Whether this model can answer for a structure.

        Raises:
            UnsupportedElement: an element outside `elements`.
            UnsupportedCharge: a charge or an open shell, which the model would ignore.
        """
        self.species(structure.numbers)
        if self.takes_charge:
            self._check_lone_ion(structure)
        elif structure.charge != 0:
            raise UnsupportedCharge(
                f"charge {structure.charge}: model '{self.name}' knows neutral structures only; send charge 0"
            )
        if structure.multiplicity not in (None, 1):
            raise UnsupportedCharge(
                f"multiplicity {structure.multiplicity}: model '{self.name}' knows closed shells only; send 1 or none"
            )

    def _check_lone_ion(self, structure: Structure) -> None:
        if not structure.charge or len(structure) > 1 or structure.pbc.any():
            return
        symbol = structure.symbols[0]
        if structure.charge not in self.lone_ions.get(symbol, {}):
            known = [f"{name} {c:+d}" for name, ions in self.lone_ions.items() for c in ions]
            raise UnsupportedCharge(
                f"a single atom {symbol} of charge {structure.charge:+d}: model '{self.name}' knows "
                f"the lone ions {', '.join(known) or '(none)'} only"
            )

    def check_electrons(self, structure: Structure) -> None:
        """Whether a molecule can be the closed shell that this model takes it for.

        Raises:
            UnsupportedCharge: it has an odd number of electrons, and the model knows closed shells
                only.
        """
        if not self.closed_shell or self.backend == "pair" or structure.pbc.any():
            return
        if structure.charge and not self.takes_charge:
            return  # the charge itself is refused, by `check`
        electrons = int(structure.numbers.sum()) - structure.charge
        if electrons % 2:
            raise UnsupportedCharge(
                f"the molecule has {electrons} electrons, an odd number, and model '{self.name}' "
                "knows closed shells only: is an atom missing, or a charge? Set "
                "allow_odd_electrons to have it answered all the same, with a warning"
            )


def member_files(name: str, members: int) -> list[str]:
    """Names of a file that each member of a committee has: `model.onnx`, `model-1.onnx`, …"""
    stem, _, ending = name.rpartition(".")
    return [name, *(f"{stem}-{number}.{ending}" for number in range(1, members))]
