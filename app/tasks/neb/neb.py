"""`neb`: ways of least energy between minima, with their saddle points and barriers."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydantic import Field

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError, InputError
from app.relax import Relaxed
from app.tasks.asking import WHOLE, Asking, Count, Course
from app.tasks.kind import Done, TaskKind, TaskValue
from app.tasks.neb.ends import check_apart, end_of, laid_upon, parts_of
from app.tasks.neb.idpp import interpolated
from app.tasks.neb.options import NebOptions
from app.tasks.neb.path import IMAGES, Path, found

FLAT = 1e-3
"""eV by which a saddle point is above both ends."""
DIP = 5e-3
"""eV by which an image between others is lower, before that is told."""


class NebPath(TaskValue):
    """A path of K images, its ends included; what does not converge has no barrier."""

    end: int = Field(description="number of the end, from 0")
    converged: bool
    reason: str = Field(description="`converged`, `steps`, or `stopped: …`")
    barrier_eV: float | None = Field(
        default=None,
        description="of the saddle point above the structure; none where there is none",
    )
    reverse_barrier_eV: float | None = Field(default=None, description="of it above the end")
    reaction_energy_eV: float | None = Field(
        default=None, description="of the end above the structure"
    )
    saddle: int | None = Field(default=None, description="number of the image at the saddle point")
    steps: int
    fmax_eV_per_A: float | None = Field(default=None, description="longest force that is left")
    energies_eV: list[float] = Field(default=[], description="(K)")
    relative_energies_eV: list[float] = Field(default=[], description="(K), above the structure")
    path_lengths_A: list[float] = Field(
        default=[], description="(K), along the path, in the space of all coordinates"
    )
    positions_A: list[list[list[float]]] = Field(default=[], description="(K, N, 3)")


class NebValue(TaskValue):
    """Paths from the minimum that `relaxed` has, one to each of the ends, relaxed as well."""

    symbols: list[str]
    images: int = Field(description="of each path, between its ends")
    climb: bool
    spring_eV_per_A2: float
    evaluations: int = Field(description="that the images took")
    paths: list[NebPath]


async def run(asking: Asking, structure: Structure, options: NebOptions) -> Done:
    """Relax both ends of each path, and the path between them.

    Raises:
        InvalidStructure: an end is not of the same atoms, in another cell, or in the same minimum.
        NotConverged: the structure, or the only end, does not come to rest.
        StructureTooLarge: paths take more evaluations than allowed.
    """
    asking.potential.check(structure)
    steps = options.steps_within(asking.safeguards.max_evaluations)
    ends = ends_of(structure, options)
    start, doubts = await _at_rest(asking, structure, options, "the structure", asking.course)
    count = asking.count(IMAGES)
    paths = await asyncio.gather(
        *(_path(asking, start, end, k, options, steps, count) for k, end in enumerate(ends))
    )
    errors = [path for path in paths if isinstance(path, EquipotError)]
    if len(errors) == len(paths):
        raise errors[0]
    evaluations = sum(
        options.images * (path[0].steps + 1) for path in paths if not isinstance(path, EquipotError)
    )
    value = NebValue(
        symbols=structure.symbols,
        images=options.images,
        climb=options.climb,
        spring_eV_per_A2=options.spring_eV_per_A2,
        evaluations=evaluations,
        paths=[_told(k, path) for k, path in enumerate(paths)],
    )
    own = [warning for k, path in enumerate(paths) for warning in _doubts(k, path)]
    return Done(value, start, (*doubts, *own))


def ends_of(structure: Structure, options: NebOptions) -> list[Structure]:
    """The structures at the ends of all paths.

    Raises:
        InvalidStructure: one is not of the same atoms, or in another cell.
    """
    return [end_of(structure, end, f"ends.{k}") for k, end in enumerate(options.ends)]


def check(structure: Structure, options: NebOptions) -> None:
    """Whether all ends are of its atoms; raises as `ends_of`."""
    ends_of(structure, options)


async def _at_rest(
    asking: Asking,
    structure: Structure,
    options: NebOptions,
    name: str,
    course: Course = WHOLE,
) -> tuple[Relaxed, tuple[AnswerWarning, ...]]:
    try:
        return await asking.minimum(structure, options.relaxation, course)
    except InputError as error:
        raise type(error)(f"{name}: {error}") from None


async def _path(
    asking: Asking,
    start: Relaxed,
    end: Structure,
    number: int,
    options: NebOptions,
    steps: int,
    count: Count,
) -> tuple[Path, tuple[AnswerWarning, ...]] | EquipotError:
    """A path and what is doubtful of its end and its highest image; or why there is none."""
    name = f"ends.{number}"
    try:
        relaxed, doubts = await _at_rest(asking, end, options, name)
        last = laid_upon(start.structure, relaxed.structure)
        check_apart(start.structure, last, name)
        threaded = asking.potential.graphs.threaded
        positions = await threaded(interpolated, start.structure, last, options.images)
        energies = start.prediction.energy, relaxed.prediction.energy
        path = await found(asking, start.structure, positions, energies, options, steps, count)
        strange = await _strange(asking, start.structure, path)
    except EquipotError as error:
        return error
    told = (
        (name, (*doubts, *_apart(asking, relaxed))),
        (f"saddle point to {name}", strange),
    )
    named = [
        replace(warning, message=f"{where}: {warning.message}")
        for where, warnings in told
        for warning in warnings
    ]
    return path, tuple(named)


def _apart(asking: Asking, end: Relaxed) -> Iterator[AnswerWarning]:
    """A warning of an end whose parts do not feel each other."""
    if (parts := parts_of(end)) > 1:
        cutoff = asking.potential.card.cutoff
        yield AnswerWarning(
            "separate_molecules",
            f"{parts} parts are further apart than the model's cutoff ({cutoff:g} Å): the end is at rest "
            "wherever they stand, path_lengths_A to it are arbitrary, and its energy is that of the parts alone",
        )


async def _strange(asking: Asking, start: Structure, path: Path) -> tuple[AnswerWarning, ...]:
    """What is out of domain of the highest image of a path that converged."""
    if not path.converged:
        return ()
    saddle = start.at(path.positions[path.highest])
    return (await asking.single_point(saddle))[1]


def _told(number: int, found: tuple[Path, tuple[AnswerWarning, ...]] | EquipotError) -> NebPath:
    if isinstance(found, EquipotError):
        return NebPath(end=number, converged=False, reason=f"stopped: {found}", steps=0)
    path = found[0]
    energies, saddle = path.energies, path.highest
    lengths = np.linalg.norm(np.diff(path.positions, axis=0), axis=(1, 2))
    has_saddle = path.converged and _is_barrier(path)
    return NebPath(
        end=number,
        converged=path.converged,
        reason=path.reason,
        barrier_eV=float(energies[saddle] - energies[0]) if has_saddle else None,
        reverse_barrier_eV=float(energies[saddle] - energies[-1]) if has_saddle else None,
        reaction_energy_eV=float(energies[-1] - energies[0]),
        saddle=saddle if has_saddle else None,
        steps=path.steps,
        fmax_eV_per_A=path.fmax,
        energies_eV=energies.tolist(),
        relative_energies_eV=(energies - energies[0]).tolist(),
        path_lengths_A=[0.0, *np.cumsum(lengths).tolist()],
        positions_A=path.positions.tolist(),
    )


def _is_barrier(path: Path) -> bool:
    """Whether the highest image is above both ends."""
    return bool(path.energies[path.highest] > max(path.energies[0], path.energies[-1]) + FLAT)


def _doubts(
    number: int, found: tuple[Path, tuple[AnswerWarning, ...]] | EquipotError
) -> Iterator[AnswerWarning]:
    """What is doubtful of a path."""
    name = f"ends.{number}"
    if isinstance(found, EquipotError):
        why = str(found).removeprefix(f"{name}: ")
        yield AnswerWarning("path_not_converged", f"{name}: there is no path: {why}")
        return
    path, doubts = found
    yield from doubts
    if not path.converged:
        yield AnswerWarning(
            "path_not_converged",
            f"{name}: {path.reason} after {path.steps} steps, {path.fmax:.3g} eV/Å are left; its energies are "
            "no barrier; state more path_steps, or an end that is nearer",
        )
    elif not _is_barrier(path):
        yield AnswerWarning(
            "path_without_barrier",
            f"{name}: no image is higher than both ends; the way leads downhill, or its highest point is "
            "between two images: state more images",
        )
    if dips := _dips(path):
        told = ", ".join(map(str, dips))
        yield AnswerWarning(
            "path_has_minimum",
            f"{name}: images {told} lie lower than those around them: the way has several steps, and "
            "perhaps several saddle points; ask for a path to each of them",
        )


def _dips(path: Path) -> list[int]:
    """Images that are lower than what is higher on both sides of them, by `DIP`."""
    energies = path.energies
    return [
        i
        for i in range(1, len(energies) - 1)
        if energies[i] <= min(energies[i - 1], energies[i + 1])
        and min(energies[:i].max(), energies[i + 1 :].max()) - energies[i] > DIP
    ]


NEB = TaskKind(
    "neb",
    "ways of least energy between minima of the same atoms, saddle points and barriers",
    NebOptions,
    NebValue,
    run,
    check,
)
