"""Dynamics in flight: replicas of many structures move together, each to an end of its own.

Each is a task of the batcher's queue. After a batch, all replicas that were in it end their step and
begin the next one on common arrays; one whose step is not sound leaves, and costs the others nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from app.atoms.decomposition import Piece
from app.atoms.graph import Graph, collate, separate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.ragged import parts, rows_of, starts_of
from app.atoms.structure import Floats
from app.atoms.verlet import SKIN, VerletList, pick, still_valid
from app.backends.domain import Domain
from app.engine.bisect import Outcome
from app.engine.task import Ended, Goes, Step, Task
from app.errors import EquipotError, InputError, OutOfDomain
from app.relax import Safeguards
from app.tasks.asking import Asking, Count
from app.tasks.md.barostat import STILL, Stretch
from app.tasks.md.bonds import Bonds
from app.tasks.md.integrator import ACCELERATION, KB, Motion
from app.tasks.md.options import MdBarostat
from app.tasks.md.plan import Plan

LOOK_EVERY = 20
"""Steps between two looks at bonds, and at what is out of domain."""
TOLD_EVERY = 10
"""Steps after which a replica tells how far it is."""
LONG_STEP = 0.1
"""Seconds of an evaluation after which it tells so at once."""
MOST_MOVE = 0.5
"""Å that an atom may move in a step."""
MOST_STRETCH = 1.1
"""Times that a cell may become longer, or shorter, in a step."""
MOST_GROWTH = 8.0
"""Times that the volume of a cell may be that of the beginning, or the other way round."""
COMPLETED = "completed"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A replica of N atoms after a step.

    Attributes:
        made: steps of this run.
        positions: (N, 3), Å.
        velocities: (N, 3), Å/fs.
        scale: of the lengths of the cell, over those at the beginning.
        barostat: what moves these; None where nothing does.
    """

    made: int
    positions: Floats
    velocities: Floats
    scale: float = 1.0
    barostat: MdBarostat | None = None


@dataclass(slots=True, eq=False)
class Trajectory:
    """What was seen of a replica.

    Attributes:
        plan: what it was to do.
        frames: those that are told.
        last: after its last sound step.
        potential: eV, after each sound step, the first geometry included.
        kinetic: eV, the same.
        volumes: Å³, the same, of `npt`.
        pressures: eV/Å³, the same, of velocities and forces.
        looks: at what is out of domain.
        strange: how many of them found something.
        strangest: the first of these: its step, and what was found.
        reason: why it ended.
    """

    plan: Plan
    last: Frame
    frames: list[Frame] = field(default_factory=list)
    potential: list[float] = field(default_factory=list)
    kinetic: list[float] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)
    pressures: list[float] = field(default_factory=list)
    looks: int = 0
    strange: int = 0
    strangest: tuple[int, str] = (0, "")
    reason: str = COMPLETED


async def follow(asking: Asking, plan: Plan, count: Count) -> Trajectory:
    """Let a replica move to its end; within `admission.admit`.

    Args:
        asking: the model, and for whom.
        plan: what the replica is to do.
        count: of the sound steps of all replicas. It gets them by a few; what a replica that ends
            early leaves out is taken off its total.

    Raises:
        InputError: its first geometry cannot be answered.
        BackendError: the model failed there.
    """
    potential, loop, told = asking.potential, asyncio.get_running_loop(), 0
    pairs = await potential.graphs.graph(plan.start, SKIN)
    dynamics = Dynamics(plan, asking, pairs)

    def counted(made: int, dropped: int) -> None:
        nonlocal told
        if not dynamics.abandoned:
            count.add(made - told, dropped)
            told = made

    if count.is_told:
        dynamics.tell = lambda made: loop.call_soon_threadsafe(counted, made, 0)
    seen = await potential.workers.run(dynamics)
    counted(seen.last.made, plan.options.steps - seen.last.made)
    return seen


class Dynamics(Task[Trajectory]):
    """One replica that moves.

    Args:
        plan: where it begins, and how it moves.
        asking: the model, and for whom.
        pairs: its graph within the cutoff and the skin.

    Attributes:
        positions: (N, 3), Å, that are being evaluated.
        velocities: (N, 3), Å/fs: before the first evaluation whole, then in the middle of a step.
        made: steps that led there.
        motion: what moves its atoms.
        barostat: what moves its cell; None where nothing does.
        pairs: its Verlet list.
        seen: what was seen so far.
        tell: is told of its sound steps, on the worker's thread.
    """

    def __init__(self, plan: Plan, asking: Asking, pairs: Graph) -> None:
        cutoff = asking.potential.card.cutoff
        super().__init__(pick(pairs, cutoff)[0], asking.caller)
        self.plan, self.cutoff = plan, cutoff
        self.positions, self.velocities, self.made = plan.start.positions, plan.velocities, 0
        self.motion, self.pairs = plan.motion, VerletList(pairs, np.eye(3))
        self.barostat = plan.barostat()
        self.seen = Trajectory(plan, Frame(0, self.positions, self.velocities))
        self.tell: Callable[[int], object] | None = None
        self._noise, self._still = plan.noise(), np.zeros_like(self.positions)
        self._bonds = Bonds.of(self.graph) if plan.options.bonds == "stop" else None
        self._safeguards: Safeguards = asking.safeguards
        self._known, self._on_ood = asking.potential.known, asking.on_ood

    @classmethod
    def advance(
        cls, tasks: Sequence["Dynamics"], outcomes: Sequence[Outcome]
    ) -> list[Step[Trajectory]]:
        """End the step of each replica, and begin the next one of those that are sound."""
        ends: dict[Dynamics, Trajectory | EquipotError] = {}
        predictions: dict[Dynamics, StructurePrediction] = {}
        for task, outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, EquipotError):
                ends[task] = task.failed(outcome)
            else:
                predictions[task] = outcome
        if predictions:
            ends |= _arrived(predictions)
        if going := {task: p for task, p in predictions.items() if task not in ends}:
            ends |= _departed(going)
        for task in tasks:
            if task.tell and task not in ends and task.is_due:
                task.tell(task.seen.last.made)
        return [Ended(ends[task]) if task in ends else Goes() for task in tasks]

    def failed(self, error: EquipotError) -> Trajectory | EquipotError:
        """The end of a replica that cannot be evaluated: at its first geometry, the error."""
        return self.stopped(str(error)) if self.seen.potential else error

    def stopped(self, why: str) -> Trajectory:
        """What was seen of a replica that is not sound any more."""
        self.seen.reason = f"stopped: {why}"
        return self.seen

    @property
    def is_due(self) -> bool:
        """Whether it is to be told how far it is: after some steps, and after each that took long."""
        began, ended = self.evaluation or (0.0, 0.0)
        return self.seen.last.made % TOLD_EVERY == 0 or ended - began > LONG_STEP

    @property
    def scale(self) -> float:
        """Of the lengths of its cell, over those at the beginning."""
        return 1.0 if self.barostat is None else self.barostat.scale

    def feel(self, prediction: StructurePrediction) -> None:
        """Let its barostat feel a geometry, and end its step."""
        if self.barostat is None:
            return
        assert prediction.stress is not None
        going_on = self.made == 0 and self.barostat.force is not None
        if not going_on:
            kinetic = self._kinetic(self.velocities)
            self.barostat.feel(kinetic, prediction.stress, self._volume)
        if self.made > 0:
            self.barostat.kick()

    def stretch(self) -> Stretch:
        """Begin the step of its barostat, and let that move."""
        if self.barostat is None:
            return STILL
        self.barostat.kick()
        return self.barostat.stretch(self._noise.of_cell(self.plan.state.step + self.made))

    @property
    def _volume(self) -> float:
        return self.plan.start.volume * self.scale**3

    def _kinetic(self, velocities: Floats) -> float:
        squares = np.einsum("na,na->n", velocities, velocities)
        return float(0.5 / ACCELERATION * self.plan.body.masses @ squares)

    def noise(self) -> Floats:
        """(N, 3), normal: of the step that begins; zeros without a heat bath."""
        if not self.plan.in_bath:
            return self._still
        return self._noise.of(self.plan.state.step + self.made)

    def fault(self, force: float, kinetic: float) -> str:
        """Why its step is not sound, by the longest force, eV/Å, and the kinetic energy, eV, after it."""
        if not force <= self._safeguards.max_force:
            return f"a force of {force:.3g} eV/Å, over the limit of {self._safeguards.max_force:g}"
        if not 1 / MOST_GROWTH <= self.scale**3 <= MOST_GROWTH:
            return (
                f"its cell has {self.scale**3:.3g} times the volume of the beginning, beyond "
                f"{MOST_GROWTH:g} times: it does not hold together at this temperature and pressure"
            )
        temperature = temperature_of(kinetic, self.plan.body.degrees_of_freedom)
        if not temperature <= self.plan.options.max_temperature_K:
            limit = self.plan.options.max_temperature_K
            return f"a temperature of {temperature:.4g} K, over the limit of {limit:g} (max_temperature_K)"
        return ""

    def note(self, prediction: StructurePrediction, velocities: Floats, kinetic: float) -> str:
        """Take down a sound step; why the replica ends here, empty where it goes on."""
        seen, made = self.seen, self.made
        seen.potential.append(prediction.energy)
        seen.kinetic.append(kinetic)
        cell: tuple[float, MdBarostat | None] = (1.0, None)
        if self.barostat is not None:
            assert prediction.stress is not None
            cell = (self.scale, self.barostat.state)
            virial = 2.0 * kinetic - self._volume * float(np.trace(prediction.stress))
            seen.volumes.append(self._volume)
            seen.pressures.append(virial / (3.0 * self._volume))
        seen.last = Frame(made, self.positions, velocities, *cell)
        if made % self.plan.options.save_every == 0:
            seen.frames.append(Frame(made, self.positions.copy(), velocities.copy(), *cell))
        return self._look(prediction) if made % LOOK_EVERY == 0 else ""

    def _look(self, prediction: StructurePrediction) -> str:
        """Why the replica ends, by its bonds and by what is out of domain."""
        bonds = self._bonds
        broken = "" if bonds is None else bonds.broken(self.positions, self.scale)
        if broken:
            return f"{broken} (bonds: ignore goes on)"
        if self.made == 0:  # what is told of the structure itself
            return ""
        here = self.plan.at(self.positions, self.scale)
        domain = Domain(self._known, here, on_ood=self._on_ood)
        try:
            domain.look(Piece.whole(self.graph))
            doubts = domain.doubts(prediction)
        except OutOfDomain as error:
            return str(error)
        self.seen.looks += 1
        if doubts:
            self.seen.strange += 1
            if self.seen.strange == 1:
                self.seen.strangest = (self.made, "; ".join(doubt.message for doubt in doubts))
        return ""


def temperature_of(kinetic: float, degrees_of_freedom: int) -> float:
    """K, of a kinetic energy in eV."""
    return 2.0 * kinetic / (degrees_of_freedom * KB)


def _arrived(
    predictions: dict[Dynamics, StructurePrediction],
) -> dict[Dynamics, Trajectory | EquipotError]:
    """End the step of replicas by what was predicted; the ends of those that go no further."""
    tasks = list(predictions)
    for task, prediction in predictions.items():
        task.feel(prediction)
    atoms = np.array([len(task.positions) for task in tasks])
    first = starts_of(atoms)[:-1]
    motion = Motion.joined([task.motion for task in tasks])
    forces = _forces(predictions.values())
    velocities = np.concatenate([task.velocities for task in tasks])
    begun = np.array([task.made > 0 for task in tasks])[rows_of(atoms), None]
    velocities = np.where(begun, motion.kicked(velocities, forces), velocities)

    masses = np.concatenate([task.plan.body.masses for task in tasks])
    squares = np.einsum("na,na->n", velocities, velocities)
    kinetic = np.add.reduceat(0.5 / ACCELERATION * masses * squares, first)
    free = motion.drift[:, 0] > 0.0
    longest = np.sqrt(np.maximum.reduceat(free * np.einsum("na,na->n", forces, forces), first))
    ends: dict[Dynamics, Trajectory | EquipotError] = {}
    for i, (task, own) in enumerate(zip(tasks, parts(velocities, first), strict=True)):
        why = task.fault(float(longest[i]), float(kinetic[i]))
        if task.made == 0 or not why:  # where a replica begins is told in any case
            noted = task.note(predictions[task], own, float(kinetic[i]))
            why = why or noted
        task.velocities = own
        if why:
            ends[task] = task.stopped(why)
        elif task.made == task.plan.options.steps:
            ends[task] = task.seen
    return ends


def _departed(
    predictions: dict[Dynamics, StructurePrediction],
) -> dict[Dynamics, Trajectory | EquipotError]:
    """Begin the next step of replicas; the ends of those that cannot be evaluated after it."""
    tasks = list(predictions)
    atoms = np.array([len(task.positions) for task in tasks])
    first = starts_of(atoms)[:-1]
    motion = Motion.joined([task.motion for task in tasks])
    before = np.concatenate([task.positions for task in tasks])
    velocities = np.concatenate([task.velocities for task in tasks])
    velocities = motion.kicked(velocities, _forces(predictions.values()))
    noise = np.concatenate([task.noise() for task in tasks])
    stretches = np.array([task.stretch() for task in tasks])
    stretched, drag, grown = stretches[rows_of(atoms)].T[:, :, None]
    positions, velocities = motion.moved(before, velocities, noise, stretched, drag, grown)
    moves = np.linalg.norm(positions - stretched * grown * before, axis=1)
    ends: dict[Dynamics, Trajectory | EquipotError] = {}
    own_rows = (parts(rows, first) for rows in (positions, velocities, moves))
    for task, stretch, own, speeds, lengths in zip(tasks, stretches, *own_rows, strict=True):
        longer = float(stretch[0] * stretch[2])
        if not 1 / MOST_STRETCH <= longer <= MOST_STRETCH:
            ends[task] = task.stopped(
                f"its cell would become {longer:.3g} times as long in one step, beyond "
                f"{MOST_STRETCH:g} times; take a pressure_GPa nearer to what the structure bears, or "
                "a longer barostat_ps"
            )
            continue
        if not lengths.max() <= MOST_MOVE:
            ends[task] = task.stopped(
                f"atom {int(np.argmax(lengths))} would move {lengths.max():.3g} Å in one step, over the "
                f"limit of {MOST_MOVE:g}; take a shorter timestep_fs, or relax first (max_steps)"
            )
            continue
        task.positions, task.velocities = own, speeds
        task.made += 1
    if going := [task for task in tasks if task not in ends]:
        ends |= _find_pairs(going)
    return ends


def _forces(predictions: Iterable[StructurePrediction]) -> Floats:
    """(N, 3), eV/Å, of all atoms."""
    own = [p.forces for p in predictions if p.forces is not None]
    return np.concatenate(own)


def _find_pairs(tasks: list[Dynamics]) -> dict[Dynamics, Trajectory | EquipotError]:
    """Give each replica its graph where it is; the ends of those that have none."""
    ends: dict[Dynamics, Trajectory | EquipotError] = {}
    cutoff, positions = tasks[0].cutoff, np.concatenate([task.positions for task in tasks])
    grown = np.array([task.scale for task in tasks])[:, None, None] * np.eye(3)
    valid = still_valid([task.pairs for task in tasks], positions, grown, cutoff)
    graphs = []
    for task, is_valid, own in zip(tasks, valid, grown, strict=True):
        try:
            if not is_valid:
                here = task.plan.at(task.positions, task.scale)
                task.pairs = VerletList(build_graph(here, cutoff + SKIN), own)
            cell = task.scale * task.plan.start.cell[None]
            graphs.append(replace(task.pairs.graph, positions=task.positions, cell=cell))
        except InputError as error:
            ends[task] = task.failed(error)
            graphs.append(task.graph)
    picked, collided = pick(collate(graphs), cutoff)
    for task, graph, has_collided in zip(tasks, separate(picked), collided, strict=True):
        task.graph = graph
        if has_collided and task not in ends:
            ends[task] = task.stopped("two atoms are on one spot, or almost")
    return ends
