"""`scan`: the energy of a molecule along a distance, an angle or a dihedral angle."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError, InvalidStructure, NotConverged
from app.relax import Held, Relaxed
from app.relax.bonds import changed_bonds
from app.relax.held import measure
from app.tasks.asking import Asking, remedy
from app.tasks.kind import Done, TaskKind, TaskOptions, TaskValue
from app.tasks.scan.mirror import is_its_image, mirrored, opposites
from app.tasks.scan.turning import brought

NAMES: dict[int, Literal["distance", "angle", "dihedral"]] = {
    2: "distance",
    3: "angle",
    4: "dihedral",
}
LOWER = 5e-4
"""eV by which a geometry has to be lower than what was found at a point before to be spread."""
MOST_VISITS = 6
"""Relaxations at one point."""
TURN = 360.0
Range = Annotated[tuple[float, float], Field(strict=False)]


class ScanOptions(TaskOptions):
    """Hold a distance, an angle or a dihedral angle at one value after the other, with all else at rest."""

    fmax_eV_per_A: float = Field(
        default=0.01,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; a relaxation is converged when no force is longer",
    )
    atoms: Annotated[tuple[int, ...], Field(min_length=2, max_length=4, strict=False)] = Field(
        description="two of a distance, three of an angle, four of a dihedral angle, by their numbers "
        "from 0",
    )
    range_deg: Range | None = Field(
        default=None,
        description="degrees, the first and the last value of an angle; of dihedral angles the whole "
        "turn where not stated",
    )
    range_A: Range | None = Field(
        default=None, description="Å, the first and the last value of a distance"
    )
    points: int = Field(default=24, ge=2, le=181, description="values, at even steps")

    @model_validator(mode="after")
    def _is_one_coordinate(self) -> Self:
        if len(set(self.atoms)) < len(self.atoms) or min(self.atoms) < 0:
            raise ValueError(f"atoms: {list(self.atoms)}; expected different numbers from 0")
        kind = NAMES[len(self.atoms)]
        wanted, other = ("range_A", "range_deg") if kind == "distance" else ("range_deg", "range_A")
        if getattr(self, other) is not None:
            raise ValueError(f"{other}: is not of {len(self.atoms)} atoms; state {wanted}")
        limits = getattr(self, wanted)
        if limits is None and kind != "dihedral":
            raise ValueError(f"{wanted}: state the first and the last value of the {kind}")
        least, most = {"distance": (0.3, 50.0), "angle": (1.0, 179.0), "dihedral": (-TURN, TURN)}[
            kind
        ]
        for value in limits or ():
            if not least <= value <= most:
                raise ValueError(f"{wanted}: {value:g}; expected {least:g} to {most:g}")
        if limits is not None and limits[0] == limits[1]:
            raise ValueError(f"{wanted}: both values are {limits[0]:g}; state two")
        if kind == "dihedral" and limits is not None and abs(limits[1] - limits[0]) > TURN:
            raise ValueError(f"{wanted}: more than a whole turn")
        return self

    @property
    def values(self) -> Floats:
        """(K,), Å or degrees."""
        limits = self.range_A or self.range_deg
        if limits is None:
            return np.linspace(-180.0, 180.0, self.points, endpoint=False)
        return np.linspace(*limits, self.points)

    @property
    def is_ring(self) -> bool:
        """Whether the last value is beside the first one."""
        values = self.values
        step = abs(values[1] - values[0])
        return len(self.atoms) == 4 and abs(abs(values[-1] - values[0]) + step - TURN) < 1e-6

    def held(self, value: float) -> Held:
        """The coordinate at a value, in Å or degrees."""
        return Held(self.atoms, value if len(self.atoms) == 2 else float(np.radians(value)))


class ScanValue(TaskValue):
    """The energy along a coordinate; what has no energy did not come to rest there."""

    coordinate: Literal["distance", "angle", "dihedral"]
    atoms: list[int]
    values_deg: list[float] | None = Field(default=None, description="(K), of an angle")
    values_A: list[float] | None = Field(default=None, description="(K), of a distance")
    energies_eV: list[float | None] = Field(description="(K)")
    relative_energies_eV: list[float | None] = Field(description="(K), above the lowest one")
    barrier_eV: float = Field(description="of the highest point above the lowest one")
    lowest: int = Field(description="number of the point, from 0")
    highest: int = Field(description="the same")
    positions_A: list[list[list[float]] | None] = Field(description="(K, N, 3)")
    symbols: list[str]
    relaxations: int = Field(description="that it took")


async def run(asking: Asking, structure: Structure, options: ScanOptions) -> Done:
    """Spread from the value that the molecule has to both sides, until no point is lowered any more.

    Raises:
        InvalidStructure: it has no such atoms, repeats, or has no such coordinate.
        NotConverged: no point came to rest.
    """
    asking.potential.check(structure)
    check(structure, options)
    scan = _Scan(asking, structure, options)
    await scan.spread()
    best = [(i, relaxed) for i, relaxed in enumerate(scan.best) if relaxed is not None]
    if not best:
        if scan.error is not None:
            raise scan.error
        raise NotConverged(
            f"no point came to rest within {options.max_steps} steps; state more max_steps, or a "
            "larger fmax_eV_per_A"
        )
    lowest, relaxed = min(best, key=lambda each: each[1].prediction.energy)
    highest, _ = max(best, key=lambda each: each[1].prediction.energy)
    doubts = (*scan.doubts.get(lowest, ()), *_missing(scan), *_torn(structure, scan))
    return Done(_value(structure, scan, lowest, highest), relaxed, doubts)


class _Scan:
    """The points of a scan.

    Attributes:
        values: (K,), Å or degrees.
        best: the lowest geometry that was found at each.
        doubts: what is out of domain of it.
        relaxations: so far.
        error: of the last relaxation that could not begin.
    """

    def __init__(self, asking: Asking, structure: Structure, options: ScanOptions) -> None:
        self._asking, self._structure, self._options = asking, structure, options
        self.values = options.values
        self.best: list[Relaxed | None] = [None] * len(self.values)
        self.doubts: dict[int, tuple[AnswerWarning, ...]] = {}
        self.relaxations, self._count = 0, asking.count("relaxations")
        self.error: EquipotError | None = None
        self._visits = [0] * len(self.values)

    async def spread(self) -> None:
        """Relax at the nearest value; then, wave after wave, beside each point that was lowered."""
        off = [abs(self._options.held(v).off(self._structure.positions)) for v in self.values]
        wave = [(int(np.argmin(off)), self._structure)]
        while wave := wave or self._mirrored():
            starts = [(i, start) for i, s in wave if (start := self._start(i, s)) is not None]
            geometries = [start for _, start in starts]
            ended = await self._asking.each(self._relaxed, geometries, self._count)
            self.relaxations += len(ended)
            pairs = zip(starts, ended, strict=True)
            lowered = dict.fromkeys(i for (i, _), end in pairs if self._is_lower(i, end))
            wave = [(j, self._lowest(i)) for i in lowered for j in self._beside(i)]

    def _mirrored(self) -> list[tuple[int, Structure]]:
        """Mirror images of points, where these are lower than what was found at the opposite ones.

        From one side of a ring the other one is not reached by turning.
        """
        if len(self._options.atoms) < 4 or not is_its_image(self._structure):
            return []
        starts = []
        for point, other in opposites(self.values):
            image, best = self.best[point], self.best[other]
            if image is None or self._visits[other] >= MOST_VISITS:
                continue
            if best is None or image.prediction.energy < best.prediction.energy - LOWER:
                starts.append((other, mirrored(image.structure)))
        return starts

    def _lowest(self, point: int) -> Structure:
        best = self.best[point]
        assert best is not None
        return best.structure

    def _start(self, point: int, structure: Structure) -> Structure | None:
        """Where a relaxation at a point begins; None where it has been visited often enough."""
        if self._visits[point] == MOST_VISITS:
            return None
        self._visits[point] += 1
        try:
            return brought(structure, self._options.held(self.values[point]))
        except EquipotError as error:
            self.error = error
            return None

    async def _relaxed(self, start: Structure) -> tuple[Relaxed, tuple[AnswerWarning, ...]] | None:
        """Where a relaxation ended, at the value that its start has."""
        atoms = self._options.atoms
        held = Held(atoms, measure(start.positions[list(atoms)]))
        try:
            return await self._asking.relaxed(start, self._options.relaxation, held)
        except EquipotError as error:
            self.error = error
            return None

    def _is_lower(self, point: int, end: tuple[Relaxed, tuple[AnswerWarning, ...]] | None) -> bool:
        """Take a geometry for the best of its point, where it is."""
        if end is None:
            return False
        relaxed, _ = end
        if not relaxed.converged:
            if relaxed.reason != "steps":
                more = remedy(relaxed, "begin with a better geometry")
                self.error = NotConverged(f"{relaxed.reason}; {more}")
            return False
        best = self.best[point]
        if best is not None and end[0].prediction.energy > best.prediction.energy - LOWER:
            return False
        self.best[point], self.doubts[point] = end
        return True

    def _beside(self, point: int) -> list[int]:
        count = len(self.values)
        beside = [point - 1, point + 1]
        if self._options.is_ring:
            return [i % count for i in beside]
        return [i for i in beside if 0 <= i < count]


def check(structure: Structure, options: ScanOptions) -> None:
    """Whether it is a molecule with these atoms.

    Raises:
        InvalidStructure: it is not.
    """
    if structure.pbc.any():
        raise InvalidStructure("the structure repeats (pbc); scans are of molecules")
    if max(options.atoms) >= len(structure):
        raise InvalidStructure(
            f"atoms: there is no atom {max(options.atoms)}; the structure has atoms 0 to "
            f"{len(structure) - 1}"
        )


def _missing(scan: _Scan) -> tuple[AnswerWarning, ...]:
    missing = [f"{scan.values[i]:g}" for i, best in enumerate(scan.best) if best is None]
    if not missing:
        return ()
    why = f" ({scan.error})" if scan.error else ""
    return (AnswerWarning("points_missing", f"nothing came to rest at {', '.join(missing)}{why}"),)


def _torn(structure: Structure, scan: _Scan) -> tuple[AnswerWarning, ...]:
    """A warning of points whose bonds are others than those of the molecule."""
    changes = {
        scan.values[i]: changed[0].message
        for i, best in enumerate(scan.best)
        if best is not None and (changed := changed_bonds(structure, best.structure))
    }
    if not changes:
        return ()
    values = ", ".join(f"{value:g}" for value in changes)
    first = next(iter(changes.values()))
    told = (
        f"at {values} bonds are others than in the molecule ({first}); what comes apart is of closed "
        "shells still, and no radicals, and barrier_eV counts these points"
    )
    return (AnswerWarning("bonds_changed", told),)


def _value(structure: Structure, scan: _Scan, lowest: int, highest: int) -> ScanValue:
    energies = [None if best is None else best.prediction.energy for best in scan.best]
    known = [energy for energy in energies if energy is not None]
    atoms = scan._options.atoms
    is_distance = len(atoms) == 2
    return ScanValue(
        coordinate=NAMES[len(atoms)],
        atoms=list(atoms),
        values_deg=None if is_distance else scan.values.tolist(),
        values_A=scan.values.tolist() if is_distance else None,
        energies_eV=energies,
        relative_energies_eV=[None if e is None else e - min(known) for e in energies],
        barrier_eV=max(known) - min(known),
        lowest=lowest,
        highest=highest,
        positions_A=[
            None if best is None else best.structure.positions.tolist() for best in scan.best
        ],
        symbols=structure.symbols,
        relaxations=scan.relaxations,
    )


SCAN = TaskKind(
    "scan",
    "energy of molecules along a distance, an angle or a dihedral angle, all else at rest",
    ScanOptions,
    ScanValue,
    run,
    check,
)
