"""Label structures with a reference calculator: any ASE calculator, over any file that ASE reads.

Charge and multiplicity that a frame states are those of its label, or it has none.
"""

import hashlib
import importlib
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread
from ase.io.extxyz import write_extxyz

from app.errors import InvalidFormat, InvalidRequest
from app.labelling.isolation import describe, isolated
from app.labelling.ordering import ItemResult
from app.labelling.output import label_output
from app.labelling.states import StateSetter

PROPERTIES = ("energy", "forces", "stress")


@dataclass(frozen=True)
class Reference:
    """A calculator and what to ask it for.

    Attributes:
        calculator: `module:Class` of an ASE calculator.
        options: keyword arguments of the class.
        properties: which of `PROPERTIES`; energy in eV, forces in eV/Å, stress in eV/Å³.
    """

    calculator: str
    options: Mapping[str, Any] = field(default_factory=dict)
    properties: tuple[str, ...] = ("energy", "forces")

    def __post_init__(self) -> None:
        unknown = [name for name in self.properties if name not in PROPERTIES]
        if unknown or not self.properties:
            named = ", ".join(map(repr, unknown)) or "nothing"
            raise InvalidRequest(f"cannot label {named}: choose from {', '.join(PROPERTIES)}")

    def build(self) -> Any:
        """The calculator.

        Raises:
            InvalidRequest: no such module or class, options that it does not take, a property it
                lacks.
        """
        calculator = _construct(_find(self.calculator), self)
        lacking = set(self.properties) - set(
            getattr(calculator, "implemented_properties", self.properties)
        )
        if lacking:
            raise InvalidRequest(f"{self.calculator} does not compute {', '.join(sorted(lacking))}")
        return calculator


@dataclass(frozen=True)
class Summary:
    """How many frames have labels and how many failed, those of earlier runs included."""

    labelled: int
    failed: int


@dataclass(frozen=True)
class UnlabelledFrame:
    """One structure of the input; `index` counts from 0 within its file."""

    file: str
    index: int
    atoms: Atoms


class Run(Protocol):
    """Has a function answer items in other processes: `isolated`, or what keeps its contract."""

    def __call__(
        self,
        start: Callable[[], Callable[[UnlabelledFrame], bytes]],
        items: Iterable[UnlabelledFrame],
        processes: int,
        timeout: float,
        /,
    ) -> Iterator[ItemResult[UnlabelledFrame, bytes]]:
        """Results in the order of the items."""
        ...


def label(
    sources: Sequence[Path],
    path: Path,
    reference: Reference,
    processes: int = 1,
    timeout: float = 600.0,
    progress: Callable[[Summary], None] = lambda summary: None,
    run: Run = isolated,
) -> Summary:
    """Label all frames of files into one extXYZ file, going on where an earlier run stopped.

    A frame that fails is left out, and listed with its reason in `<path>.failures.jsonl`.

    Args:
        sources: files in any format that ASE reads.
        path: extXYZ output; frames in the order of the input, with their own info and arrays.
        reference: what labels them.
        processes: worker processes, of one thread each.
        timeout: seconds that one frame may take.
        progress: called after every frame.
        run: has the frames answered in other processes.

    Raises:
        InvalidRequest: a calculator that cannot be built, or an output of a different run.
        InvalidFormat: a file that cannot be read; what comes before it in the input has been
            labelled.
    """
    frames = _Frames(sources)
    with label_output(path, _run(sources, reference)) as output:
        remaining = itertools.islice(frames, output.labelled + output.failed, None)
        for result in run(partial(_labeller, reference), remaining, processes, timeout):
            if result.value is not None:
                output.add(result.value)
            else:
                frame = result.item
                output.fail({"file": frame.file, "frame": frame.index, "reason": result.failure})
            progress(Summary(output.labelled, output.failed))
    if frames.broken is not None:
        raise frames.broken
    return Summary(output.labelled, output.failed)


class _Frames:
    """All frames of some files.

    A file that cannot be read ends the iteration and is kept in `broken`.
    """

    def __init__(self, sources: Sequence[Path]) -> None:
        self._sources = sources
        self.broken: InvalidFormat | None = None

    def __iter__(self) -> Iterator[UnlabelledFrame]:
        for source in self._sources:
            count = 0
            try:
                for atoms in iread(str(source), index=":"):
                    yield UnlabelledFrame(str(source), count, _bare(atoms))
                    count += 1
            except Exception as error:  # readers of ASE raise anything
                self.broken = InvalidFormat(
                    f"cannot read frame {count} of {source}: {describe(error)}"
                )
                self.broken.__cause__ = error
                return


def _bare(atoms: Atoms) -> Atoms:
    """The atoms without calculator and without earlier labels."""
    atoms.calc = None
    for name in PROPERTIES:
        atoms.info.pop(name, None)
        atoms.arrays.pop(name, None)
    return atoms


def _labeller(reference: Reference) -> Callable[[UnlabelledFrame], bytes]:
    calculator = reference.build()
    return partial(
        _labelled, calculator, StateSetter(calculator, reference.options), reference.properties
    )


def _labelled(
    calculator: Any,
    set_state: StateSetter,
    properties: tuple[str, ...],
    frame: UnlabelledFrame,
) -> bytes:
    """One extXYZ frame with its labels."""
    atoms = frame.atoms
    if "stress" in properties and not atoms.pbc.all():
        raise ValueError("stress needs a structure that is periodic in all three directions")
    if hasattr(calculator, "reset"):
        calculator.reset()  # a label does not depend on the frames before it
    set_state(atoms)
    results = {
        name: np.asarray(calculator.get_property(name, atoms), dtype=float) for name in properties
    }
    if getattr(calculator, "converged", True) is False:
        raise ValueError("the calculator did not converge")
    shapes: dict[str, list[tuple[int, ...]]] = {
        "energy": [()],
        "forces": [(len(atoms), 3)],
        "stress": [(6,), (3, 3)],
    }
    for name, value in results.items():
        if value.shape not in shapes[name] or not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite or has a wrong shape {value.shape}")
    return _encode(atoms, {name: float(v) if v.ndim == 0 else v for name, v in results.items()})


def _encode(atoms: Atoms, results: Mapping[str, Any]) -> bytes:
    text = io.StringIO()
    atoms.calc = SinglePointCalculator(atoms, **results)
    write_extxyz(text, [atoms])
    return text.getvalue().encode()


def _find(spec: str) -> Callable[..., Any]:
    module, _, name = spec.partition(":")
    if not module or not name:
        raise InvalidRequest(
            f"{spec!r} names no calculator: write module:Class, such as tblite.ase:TBLite"
        )
    try:
        calculator = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise InvalidRequest(
            f"cannot import {module} ({error}): install the package that brings it"
        ) from error
    if not callable(calculator):
        raise InvalidRequest(f"{module} has no calculator {name}")
    return calculator  # type: ignore[no-any-return]


def _construct(make: Callable[..., Any], reference: Reference) -> Any:
    options = dict(reference.options)
    try:
        return make(**options)
    except Exception as error:  # constructors raise anything
        raise InvalidRequest(
            f"{reference.calculator} does not start with options {json.dumps(options)}: {describe(error)}"
        ) from error


def _run(sources: Sequence[Path], reference: Reference) -> dict[str, Any]:
    """What an output is made of, as JSON."""
    inputs = [{"file": path.name, "sha256": _digest(path)} for path in sources]
    return {**asdict(reference), "properties": list(reference.properties), "inputs": inputs}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidFormat(f"cannot read {path}: {error.strerror}") from error
