"""ModelCard (what a model is) and ModelStore (where it lives): immutable versions under one folder."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase.data import chemical_symbols
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.atoms.structure import Floats, Integers, Structure
from app.errors import (
    CorruptModel,
    ModelExists,
    UnknownModel,
    UnsupportedCharge,
    UnsupportedElement,
)

CARD = "card.json"
ARTIFACT = "model.onnx"
ENERGIES = "energies.onnx"
"""The part of the artifact that gives the energies, without their gradient."""
PACKAGE, ENERGY_PACKAGE = "model.pt2", "energies.pt2"
"""The same as packages of AOTInductor."""
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Deviations(_Frozen):
    """Largest differences, of an artifact from its model or allowed between batches."""

    energy_per_atom: float = Field(ge=0, description="eV per atom")
    forces: float = Field(ge=0, description="eV/Å, per component")
    stress: float = Field(ge=0, description="eV/Å³, per component")


class Certificate(_Frozen):
    """What the exported artifact was found to deviate from the eager float64 model, and on what.

    Deviations are absolute on frames that the training held out. Those on synthetic structures are
    in proportion to the structure's largest energy of an atom without its reference, force or
    stress, where it exceeds 1 eV, 1 eV/Å or 1 eV/Å³.
    """

    tolerance: Deviations
    largest: Deviations = Field(description="over all structures")
    held_out: Deviations | None = Field(
        default=None, description="over the held-out frames alone, if there were any"
    )
    systems: int = Field(ge=1, description="structures that were compared")
    repeats: int = Field(ge=1, description="runs of each batch, to catch races")


class Packages(_Frozen):
    """What the packages of AOTInductor were compiled with and for."""

    torch: str = Field(description="version, the only one that can load them")
    machine: str = Field(description="kind of processor, as in `x86_64`")
    capability: Literal["AVX2", "AVX512"] = Field(description="vector instructions that they use")
    inputs: tuple[str, ...] = Field(description="what they take, in this order")
    certificate: Certificate | None = None


class PairParameters(_Frozen):
    """Lennard-Jones parameters of one element."""

    epsilon: float = Field(gt=0, description="eV")
    sigma: float = Field(gt=0, description="Å")


class Origin(_Frozen):
    """The model from whose weights another one was trained further."""

    name: str = Field(description="of a model of the store, or of the folder of a training run")
    version: int | None = Field(default=None, ge=1, description="none where it is a training run")
    digest: str = Field(description="sha256 of the model's card, or of the run's weights")

    @property
    def reference(self) -> str:
        """`name@version`, or the run's name."""
        return self.name if self.version is None else f"{self.name}@{self.version}"


class ModelCard(_Frozen):
    """What a model is, what it may be asked, and what is known of its errors."""

    format_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    description: str
    architecture: str
    backend: Literal["onnx", "pair"]
    elements: tuple[str, ...] = Field(
        min_length=1, description="chemical symbols, in the order of the model's species"
    )
    atomic_energies: dict[str, float] = Field(
        description="eV, reference energy added for each atom of an element"
    )
    cutoff: float = Field(gt=0, description="Å")
    receptive_field: float = Field(
        gt=0, description="Å; how far an atom's energy can depend on others"
    )
    dtype: Literal["float32", "float64"]
    takes_charge: bool = False
    parameters: int = Field(ge=0, default=0, description="of all members together")
    members: int = Field(
        ge=1, default=1, description="models whose mean is the answer; several give its uncertainty"
    )
    energies_alone: bool = Field(
        default=False,
        description="whether it has artifacts that give the energies without their gradient",
    )
    fine_tuned_from: Origin | None = None
    created: str = ""
    license: str = ""
    limitations: tuple[str, ...] = ()
    metrics: dict[str, Any] = Field(default_factory=dict)
    certificate: Certificate | None = None
    aoti: Packages | None = Field(
        default=None, description="none where the version has no packages of AOTInductor"
    )
    pair: dict[str, PairParameters] = Field(default_factory=dict)
    files: dict[str, str] = Field(
        default_factory=dict, description="sha256 of every other file of the version"
    )

    @property
    def artifacts(self) -> list[str]:
        """Names of the files that its backends open."""
        if self.backend != "onnx":
            return []
        names = [ARTIFACT, ENERGIES] if self.energies_alone else [ARTIFACT]
        if self.aoti is not None:
            names += [PACKAGE, ENERGY_PACKAGE]
        return [file for name in names for file in member_files(name, self.members)]

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

    def references(self, species: Integers) -> Floats:
        """(N,), eV: the reference energy of each atom, from its species index."""
        return np.array([self.atomic_energies.get(symbol, 0.0) for symbol in self.elements])[
            species
        ]

    def check(self, structure: Structure) -> None:
        """Whether this model can answer for a structure.

        Raises:
            UnsupportedElement: an element outside `elements`.
            UnsupportedCharge: a charge or an open shell, which the model would ignore.
        """
        self.species(structure.numbers)
        if self.takes_charge:
            return
        if structure.charge != 0:
            raise UnsupportedCharge(
                f"charge {structure.charge}: model '{self.name}' knows neutral structures only; send charge 0"
            )
        if structure.multiplicity not in (None, 1):
            raise UnsupportedCharge(
                f"multiplicity {structure.multiplicity}: model '{self.name}' knows closed shells only; send 1 or none"
            )


@dataclass(slots=True)
class Publication:
    """A version on its way into the store.

    Attributes:
        card: what will be published; may be completed while the files are written.
        folder: where to write the files.
    """

    card: ModelCard
    folder: Path


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A verified version in the store.

    Attributes:
        card: its card.
        folder: where its files are.
        digest: sha256 of the card, which holds the sha256 of every other file.
    """

    card: ModelCard
    folder: Path
    digest: str


class ModelStore:
    """Models as `<root>/<name>/<version>/{card.json, model.onnx, ...}`; a version never changes."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def names(self) -> list[str]:
        """Names of the models that have at least one version."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and self.versions(p.name))

    def versions(self, name: str) -> list[int]:
        """Versions of a model, oldest first; empty for an unknown name."""
        folder = self.root / name
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal() and p.is_dir())

    def resolve(self, reference: str) -> tuple[str, int]:
        """Name and version of `name` (the newest) or `name@version`.

        Raises:
            UnknownModel: naming what the store has.
        """
        name, _, version = reference.partition("@")
        versions = self.versions(name) if name in self.names() else []
        if not versions:
            known = ", ".join(self.names()) or "none"
            raise UnknownModel(f"no model '{name}' in the store; it has: {known}")
        if not version:
            return name, versions[-1]
        if version not in map(str, versions):
            raise UnknownModel(
                f"model '{name}' has no version '{version}'; it has: {', '.join(map(str, versions))}"
            )
        return name, int(version)

    def load(self, reference: str) -> StoredModel:
        """A version whose every file has the digest on its card.

        Raises:
            UnknownModel: no such name or version.
            CorruptModel: a file is missing or changed, or the card cannot be read.
        """
        name, version = self.resolve(reference)
        folder = self.root / name / str(version)
        card, digest = _read_card(folder)
        if (card.name, card.version) != (name, version):
            raise CorruptModel(f"{folder}: its card is of {card.name}@{card.version}")
        for artifact in card.artifacts:
            if artifact not in card.files:
                raise CorruptModel(f"{folder}: its card has no digest of {artifact}")
        for file, expected in card.files.items():
            _verify(folder / file, expected)
        return StoredModel(card, folder, digest)

    @contextmanager
    def publish(self, card: ModelCard) -> Iterator[Publication]:
        """A folder to write the version's files into, which becomes the version when the block
        ends.

        The card is written last, with the sha256 of each file; the folder is moved into place at
        once, so that a reader sees the whole version or none. When the block raises, none of its
        files is left.

        Raises:
            ModelExists: this version is there already.
        """
        target = self.root / card.name / str(card.version)
        if target.exists():
            raise ModelExists(_exists(card))
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".publishing-", dir=target.parent))
        try:
            publication = Publication(card, folder)
            yield publication
            files = {p.name: sha256(p) for p in sorted(folder.iterdir())}
            place = {"name": card.name, "version": card.version}
            complete = publication.card.model_copy(update={**place, "files": files})
            (folder / CARD).write_text(
                complete.model_dump_json(indent=2, exclude_defaults=False) + "\n"
            )
            _let_everybody_read(folder)
            os.rename(folder, target)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if target.exists():
                raise ModelExists(_exists(card)) from error
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def next_version(self, name: str) -> int:
        """The version number that follows the newest one."""
        return max(self.versions(name), default=0) + 1


def member_files(name: str, members: int) -> list[str]:
    """Names of a file that each member of a committee has: `model.onnx`, `model-1.onnx`, …"""
    stem, _, ending = name.rpartition(".")
    return [name, *(f"{stem}-{number}.{ending}" for number in range(1, members))]


def _exists(card: ModelCard) -> str:
    return f"{card.name}@{card.version} is published already; versions never change"


def _let_everybody_read(folder: Path) -> None:
    """A server runs as another user than the one who trains."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_card(folder: Path) -> tuple[ModelCard, str]:
    path = folder / CARD
    try:
        content = path.read_bytes()
        return ModelCard.model_validate_json(content), hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        raise CorruptModel(f"{path} is missing") from None
    except OSError as error:
        raise CorruptModel(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise CorruptModel(f"{path} is no model card: {error.errors()[0]['msg']}") from None


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise CorruptModel(f"{path} is missing")
    try:
        found = sha256(path)
    except OSError as error:
        raise CorruptModel(f"{path} cannot be read: {error.strerror}") from error
    if found != expected:
        raise CorruptModel(f"{path}: sha256 {found[:12]}… differs from the card's {expected[:12]}…")
