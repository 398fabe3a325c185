"""Relaxations in flight: many structures moving together, each to an end of its own.

Each is a task of the batcher's queue, where single points wait, too. After a batch, all relaxations
that were in it take their step on common arrays (schedule, execute, update); those that have ended
leave, the others go back to the end of the queue, so that a new one enters with the next batch.
"""

import copy
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from app.atoms.decomposition import Piece
from app.atoms.graph import Graph, collate, separate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Floats, Structure
from app.atoms.verlet import SKIN, VerletList, pick, still_valid
from app.engine.bisect import Outcome
from app.engine.graph_builder import Look
from app.engine.potential import Potential
from app.engine.task import Ended, Goes, Step, Task
from app.errors import EquipotError, InputError
from app.relax.cells import projector
from app.relax.choice import OPTIMIZERS, optimizer_for
from app.relax.held import Held
from app.relax.optimizers import Optimizer
from app.relax.options import GPA, Relaxed, RelaxOptions, Safeguards
from app.relax.rows import Rows, first_rows
from app.relax.state import KEPT_EVERY, Keep, RelaxationState, structure_at

VOLUME_RATIOS = (0.2, 5.0)
"""Of a cell to its first volume; beyond these it has collapsed or evaporated."""
SAFEGUARDS = Safeguards()


async def relax(
    potential: Potential,
    structure: Structure,
    options: RelaxOptions,
    safeguards: Safeguards = SAFEGUARDS,
    caller: Hashable = None,
    look: Look | None = None,
    state: RelaxationState | None = None,
    keep: Keep | None = None,
    held: Held | None = None,
) -> Relaxed:
    """Move atoms, and the cell if asked, until no force is left; within `admission.admit`.

    Not converging is a result: `steps`, or `exploded` with the last geometry that was sound.

    Args:
        potential: the model.
        structure: where to begin.
        options: how to relax.
        safeguards: where it is given up.
        caller: for whom; callers take turns.
        look: is shown the graph of the structure as given, before it is evaluated.
        state: of a relaxation of the same structure that did not end; this one goes on from there.
        keep: is told of its state every few steps.
        held: an internal coordinate that keeps its value; the structure has it there.

    Raises:
        InputError: the structure as given cannot be answered, or its cell cannot be relaxed as
            asked.
        BackendError: the model failed on the structure as given.
    """
    potential.check(structure)
    allowed = projector(structure, options)
    if held is not None:
        held.projected(np.zeros_like(structure.positions), structure.positions, structure.fixed)
    start = structure if state is None else structure_at(structure, state.x)
    pairs = await potential.graphs.graph(start, SKIN)
    cutoff = potential.card.cutoff
    relaxation = Relaxation(structure, options, safeguards, allowed, pairs, cutoff, caller, held)
    relaxation.keep = keep
    first = relaxation.graph
    if state is not None:
        first = await potential.graphs.graph(structure)
        sound = await potential.graphs.graph(structure_at(structure, state.sound))
        relaxation.go_on(state, sound)
    await potential.graphs.show(Piece.whole(first), look)
    return await potential.workers.run(relaxation)


class Relaxation(Task[Relaxed]):
    """One structure on its way to a minimum.

    Args:
        origin: the structure as it was given.
        options: how it is relaxed.
        safeguards: where it is given up.
        allowed: (9, 9), projector onto the changes of its cell.
        pairs: its graph within the cutoff and the skin.
        cutoff: Å, of the model.
        caller: for whom it is relaxed.
        held: an internal coordinate that keeps its value.

    Attributes:
        x: (N + 3, 3), Å, rows that are being evaluated (see `app.relax.rows`).
        sound: rows of the last sound geometry, (N + 3, 3), its graph, its prediction, and what is
            left of the criterion's quantity, eV/Å.
        initial: prediction for the structure as it was given.
        steps: optimiser steps made.
        optimizer: what the optimiser remembers.
        pairs: its Verlet list.
        keep: is told of its state every few steps.
    """

    def __init__(
        self,
        origin: Structure,
        options: RelaxOptions,
        safeguards: Safeguards,
        allowed: Floats,
        pairs: Graph,
        cutoff: float,
        caller: Hashable,
        held: Held | None = None,
    ) -> None:
        super().__init__(pick(pairs, cutoff)[0], caller)
        self.origin, self.options, self.safeguards = origin, options, safeguards
        self.allowed, self.cutoff = allowed, cutoff
        self.pairs = VerletList(pairs, np.eye(3))
        self.x = first_rows(origin.positions)
        self.sound: tuple[Floats, Graph, StructurePrediction, float] | None = None
        self.initial: StructurePrediction | None = None
        self.steps = 0
        self.optimizer = optimizer_for(origin, options, held)
        self.keep: Keep | None = None
        self.held = held

    @classmethod
    def advance(
        cls, tasks: Sequence["Relaxation"], outcomes: Sequence[Outcome]
    ) -> list[Step[Relaxed]]:
        """Move each relaxation whose geometry is sound and whose forces are not small yet."""
        ends: dict[Relaxation, Relaxed | EquipotError] = {}
        predictions: dict[Relaxation, StructurePrediction] = {}
        for relaxation, outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, EquipotError):
                ends[relaxation] = relaxation.failed(outcome)
            else:
                predictions[relaxation] = outcome
        if predictions:
            ends |= take_step(predictions)
        for task in tasks:
            if task.keep and task not in ends and task.steps % KEPT_EVERY == 0:
                task.keep(task.state())
        return [Ended(ends[task]) if task in ends else Goes() for task in tasks]

    def go_on(self, state: RelaxationState, sound: Graph) -> None:
        """Take the place of a relaxation that did not end.

        Args:
            state: of that one; the pairs are those of its next rows.
            sound: graph of its last sound geometry.
        """
        self.pairs = VerletList(self.pairs.graph, state.x[-3:] / len(self.origin))
        self.x, self.steps, self.optimizer = state.x, state.steps, copy.copy(state.optimizer)
        self.sound = (state.sound, sound, state.prediction, state.fmax)
        self.initial = state.initial

    def state(self) -> RelaxationState:
        """Where it is after its first evaluation; does not change with it."""
        assert self.sound is not None
        assert self.initial is not None
        memory, (sound, _, prediction, fmax) = copy.copy(self.optimizer), self.sound
        return RelaxationState(self.x, self.steps, memory, sound, prediction, fmax, self.initial)

    def failed(self, error: EquipotError) -> Relaxed | EquipotError:
        """The end of a relaxation that cannot be evaluated: at its first geometry, the error."""
        return error if self.sound is None else self.ended(f"exploded: {error}")

    def ended(self, reason: str) -> Relaxed:
        """The result, at the last sound geometry."""
        assert self.sound is not None
        assert self.initial is not None
        x, graph, prediction, fmax = self.sound
        return Relaxed(
            structure_at(self.origin, x),
            graph,
            prediction,
            self.initial,
            fmax,
            self.steps,
            reason == "converged",
            criterion(self.options),
            reason,
        )


def criterion(options: RelaxOptions) -> str:
    """When a relaxation is converged."""
    limit = f"< {options.fmax:g} eV/Å"
    if options.cell == "fixed":
        return f"largest force on an atom {limit}"
    if options.smax is None:
        return f"largest force on an atom, or row of the virial over the number of atoms, {limit}"
    stress = f"largest component of the stress that may relax < {options.smax:g} eV/Å³"
    return f"largest force on an atom {limit}, and {stress}"


def take_step(
    predictions: dict[Relaxation, StructurePrediction],
) -> dict[Relaxation, Relaxed | EquipotError]:
    """Note what was predicted for relaxations, and move those that go on; the others' ends."""
    relaxations = list(predictions)
    rows = Rows(np.array([len(r.origin) for r in relaxations]))
    x = np.concatenate([r.x for r in relaxations])
    forces = _forces(relaxations, list(predictions.values()), x, rows)
    left, still = _left(relaxations, x, forces, rows)
    ends: dict[Relaxation, Relaxed | EquipotError] = {}
    faults = _faults(relaxations, x, forces, rows)
    for relaxation, fault, fmax, at_rest in zip(
        relaxations, faults, left.tolist(), still, strict=True
    ):
        here = (relaxation.x, relaxation.graph, predictions[relaxation], fmax)
        if relaxation.initial is None:
            relaxation.initial = predictions[relaxation]
            relaxation.sound = here
        if fault:
            ends[relaxation] = relaxation.ended(f"exploded: {fault}")
            continue
        relaxation.sound = here
        if fmax < relaxation.options.fmax and at_rest:
            ends[relaxation] = relaxation.ended("converged")
        elif relaxation.steps >= relaxation.options.steps:
            ends[relaxation] = relaxation.ended("steps")
    own = dict(zip(relaxations, rows.split(forces), strict=True))
    for kind in OPTIMIZERS.values():
        going = [r for r in relaxations if r not in ends and type(r.optimizer) is kind]
        if going:
            ends |= _move(kind, going, np.concatenate([own[r] for r in going]))
    return ends


def _forces(
    relaxations: list[Relaxation], predictions: list[StructurePrediction], x: Floats, rows: Rows
) -> Floats:
    """(M, 3), eV/Å: on what may move of atoms and deformation gradients, zero on the rest."""
    own = [p.forces for p in predictions if p.forces is not None]
    assert len(own) == len(predictions), "a relaxation wants derivatives"
    on_atoms = np.concatenate(own)
    for relaxation, part in zip(relaxations, rows.split_atoms(on_atoms), strict=True):
        if relaxation.origin.fixed is not None:
            part[relaxation.origin.fixed] = 0.0
        if relaxation.held is not None:
            at = relaxation.graph.positions
            part[:] = relaxation.held.projected(part, at, relaxation.origin.fixed)
    on_cells = np.zeros((len(relaxations), 3, 3))
    loose = [i for i, r in enumerate(relaxations) if r.options.cell != "fixed"]
    if loose:
        on_cells[loose] = _cell_forces(
            [relaxations[i] for i in loose], [predictions[i] for i in loose]
        )
    return rows.forces(x, on_atoms, on_cells)


def _cell_forces(relaxations: list[Relaxation], predictions: list[StructurePrediction]) -> Floats:
    """(B, 3, 3), eV: −∂(E + pV)/∂G by the deformation gradients G, as far as these may change."""
    graphs = [r.graph for r in relaxations]
    volumes = np.abs(np.linalg.det(np.concatenate([g.cell for g in graphs])))
    pressure = np.array([r.options.pressure for r in relaxations])[:, None, None] * np.eye(3)
    stress = np.array([p.stress for p in predictions])
    virials = -volumes[:, None, None] * (stress + pressure)
    deformations = (
        np.array([r.x[-3:] for r in relaxations])
        / np.array([len(r.origin) for r in relaxations])[:, None, None]
    )
    forces = np.linalg.solve(deformations, virials.transpose(0, 2, 1)).transpose(0, 2, 1)
    allowed = np.array([r.allowed for r in relaxations])
    projected: Floats = np.einsum("bij,bj->bi", allowed, forces.reshape(-1, 9)).reshape(-1, 3, 3)
    return projected


def _left(
    relaxations: list[Relaxation], x: Floats, forces: Floats, rows: Rows
) -> tuple[Floats, list[bool]]:
    """(B,) eV/Å: the longest rows; and whether each stress is small, where that is asked for itself."""
    left, still = rows.longest(forces), [True] * len(relaxations)
    for i, own in enumerate(rows.split(forces)):
        smax = relaxations[i].options.smax
        if smax is None:
            continue
        deformation = rows.deformations(x)[i]
        left[i] = np.linalg.norm(own[:-3] @ np.linalg.inv(deformation), axis=1).max()
        volume = abs(np.linalg.det(relaxations[i].origin.cell) * np.linalg.det(deformation))
        stress = own[-3:] @ deformation.T * (len(own) - 3) / volume
        still[i] = bool(np.abs(stress).max() < smax)
    return left, still


def _faults(relaxations: list[Relaxation], x: Floats, forces: Floats, rows: Rows) -> list[str]:
    """Why each point is not sound; empty where it is."""
    moved = x[rows.is_atom] - np.concatenate([r.origin.positions for r in relaxations])
    furthest = np.sqrt(np.maximum.reduceat(np.einsum("ij,ij->i", moved, moved), rows.first_atoms))
    largest = rows.longest(forces)
    ratios = np.abs(np.linalg.det(rows.deformations(x)))
    least, most = VOLUME_RATIOS
    faults = []
    for i, (relaxation, own) in enumerate(zip(relaxations, rows.split(forces), strict=True)):
        limits, fault = relaxation.safeguards, ""
        if not largest[i] <= limits.max_force:
            row = int(np.argmax(np.linalg.norm(own, axis=1)))
            where = f"atom {row}" if row < len(own) - 3 else "the cell"
            limit = f"over the limit of {limits.max_force:g} (largest on {where})"
            fault = f"a force of {largest[i]:.3g} eV/Å, {limit}"
        elif not least <= ratios[i] <= most:
            under, limit = _pressure(relaxation.options.pressure), f"{least:g} and {most:g}"
            ratio = f"{ratios[i]:.3g} times its first volume{under}"
            fault = f"the cell has {ratio}; between {limit} is sound"
        elif furthest[i] > limits.max_displacement:
            fault = f"an atom is {furthest[i]:.3g} Å from its start, over the limit of {limits.max_displacement:g}"
        faults.append(fault)
    return faults


def _pressure(pressure: float) -> str:
    """What of a pressure, eV/Å³, may have made a cell collapse or evaporate."""
    if not pressure:
        return ""
    told = f"{pressure:g} eV/Å³, {pressure / GPA:.3g} GPa"
    if pressure > 0:
        return f" under the pressure that was asked for ({told})"
    strength = "it may be more than holds the structure together"
    return f" under the tension that was asked for (pressure {told}): {strength}"


def _move(
    kind: type[Optimizer], relaxations: list[Relaxation], forces: Floats
) -> dict[Relaxation, Relaxed | EquipotError]:
    """One optimiser step; the ends of relaxations that cannot be evaluated after it."""
    rows = Rows(np.array([len(r.origin) for r in relaxations]))
    x = np.concatenate([r.x for r in relaxations])
    optimizers, origins = [r.optimizer for r in relaxations], [r.origin for r in relaxations]
    x = x + kind.moves(optimizers, x, forces, rows, origins)
    lost: dict[Relaxation, Relaxed | EquipotError] = {}
    for relaxation, own in zip(relaxations, rows.split(x), strict=True):
        if relaxation.held is not None:
            try:
                own[:-3] = relaxation.held.restored(own[:-3], relaxation.origin.fixed)
            except InputError as error:
                lost[relaxation] = relaxation.failed(error)
                own[:] = relaxation.x
        relaxation.x = own
        relaxation.steps += 1
    return _find_pairs(relaxations, x, rows) | lost


def _find_pairs(
    relaxations: list[Relaxation], x: Floats, rows: Rows
) -> dict[Relaxation, Relaxed | EquipotError]:
    """Give each relaxation its graph at x; the ends of those that have none."""
    ends: dict[Relaxation, Relaxed | EquipotError] = {}
    positions, deformations = rows.positions(x), rows.deformations(x)
    cutoff = relaxations[0].cutoff
    valid = still_valid([r.pairs for r in relaxations], positions, deformations, cutoff)
    cells = np.array([r.origin.cell for r in relaxations]) @ deformations.transpose(0, 2, 1)
    graphs = []
    for i, own in enumerate(rows.split_atoms(positions)):
        relaxation = relaxations[i]
        if valid[i]:
            graphs.append(replace(relaxation.pairs.graph, positions=own, cell=cells[i : i + 1]))
            continue
        try:
            graph = build_graph(structure_at(relaxation.origin, relaxation.x), cutoff + SKIN)
            relaxation.pairs = VerletList(graph, deformations[i])
        except InputError as error:
            ends[relaxation] = relaxation.failed(error)
            graph = relaxation.graph
        graphs.append(graph)
    picked, collided = pick(collate(graphs), cutoff)
    for i, (relaxation, graph) in enumerate(zip(relaxations, separate(picked), strict=True)):
        if collided[i] and relaxation not in ends:
            ends[relaxation] = relaxation.failed(_collision(relaxation))
        relaxation.graph = graph
    return ends


def _collision(relaxation: Relaxation) -> EquipotError:
    try:
        build_graph(structure_at(relaxation.origin, relaxation.x), relaxation.cutoff)
    except InputError as error:
        return error
    raise AssertionError("two atoms collide in one neighbour list and not in another")
