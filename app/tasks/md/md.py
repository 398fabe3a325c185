"""`md`: molecular dynamics of many replicas, with the energy kept or in a heat bath."""

from collections.abc import Iterator

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidStructure, StructureTooLarge
from app.tasks.asking import Asking
from app.tasks.kind import Done, TaskKind
from app.tasks.md.dynamics import Trajectory, follow
from app.tasks.md.options import MdOptions
from app.tasks.md.plan import check_same, plans_of
from app.tasks.md.value import MdValue, drift_of, is_whole, value_of

MOST_ROWS = 500_000
"""Atoms of all frames of all replicas that one answer holds."""
MOST_DRIFT = 2e-3
"""eV by atom and ps, beyond which the energy is not kept."""
LONG = 1.0
"""fs, beyond which the vibrations of hydrogen are not followed."""
TOLD = 3
"""Replicas that a warning names."""


async def run(asking: Asking, structure: Structure, options: MdOptions) -> Done:
    """Relax a structure, where asked for, and let all its replicas move.

    Raises:
        InvalidStructure: nothing of it moves, or a state to go on from is none of its atoms.
        StructureTooLarge: more evaluations or frames than one answer may take.
    """
    asking.potential.check(structure)
    options.check_evaluations(asking.safeguards.max_md_evaluations)
    check(structure, options)
    relaxed, doubts = await asking.relaxed(structure, options.relaxation, course=asking.course)
    plans = {plan.start: plan for plan in plans_of(relaxed.structure, options)}

    count = asking.count("steps", options.count * options.steps)

    async def one(start: Structure) -> Trajectory:
        return await follow(asking, plans[start], count)

    trajectories = await asking.each(one, list(plans), None)
    warnings = (*doubts, *_doubts(structure, trajectories, options))
    value = await asking.potential.graphs.threaded(value_of, trajectories, options)
    return Done(value, relaxed, warnings, relaxes=options.max_steps > 0)


def check(structure: Structure, options: MdOptions) -> None:
    """Whether its frames fit into an answer, and states to go on from are of its atoms.

    Raises:
        InvalidStructure: a state is none of its atoms, or its cell cannot change its size.
        StructureTooLarge: there are too many frames.
    """
    if options.ensemble == "npt":
        if not structure.is_bulk:
            raise InvalidStructure(
                "ensemble: npt is of what repeats in all three directions (pbc); ask for nvt"
            )
        if structure.fixed is not None and structure.fixed.any():
            raise InvalidStructure("fixed: of npt all atoms move with the cell; ask for nvt")
    for number, state in enumerate(options.restart or ()):
        check_same(structure, state, f"restart.{number}")
    if options.trajectory == "none" and not options.velocities:
        return
    frames = options.count * (options.steps // options.save_every + 1)
    if frames * len(structure) > MOST_ROWS:
        raise StructureTooLarge(
            f"save_every: {options.save_every} makes {frames} frames of {len(structure)} atoms; an answer "
            f"holds {MOST_ROWS} atoms in all; state a larger one, or trajectory none"
        )


def _doubts(
    structure: Structure, trajectories: list[Trajectory], options: MdOptions
) -> Iterator[AnswerWarning]:
    """What is doubtful of the dynamics themselves."""
    if stopped := [each for each in trajectories if not is_whole(each)]:
        told = "; ".join(
            f"{_named(each)} after {each.last.made * options.timestep_fs:g} fs: "
            f"{each.reason.removeprefix('stopped: ')}"
            for each in stopped[:TOLD]
        )
        count = f"{len(stopped)} of {len(trajectories)} replicas"
        yield AnswerWarning("dynamics_stopped", f"{count} stopped: {told}{_more(len(stopped))}")
    if options.timestep_fs > LONG and (structure.numbers == 1).any():
        yield AnswerWarning(
            "timestep_long",
            f"timestep_fs: {options.timestep_fs:g} fs, and there is hydrogen, whose vibrations take 9 to 12 "
            f"fs; take {LONG:g} fs or less",
        )
    yield from _not_kept(trajectories)
    yield from _strange(trajectories, options)


def _not_kept(trajectories: list[Trajectory]) -> Iterator[AnswerWarning]:
    drifts = [(each, drift[0]) for each in trajectories if (drift := drift_of(each)) is not None]
    off = [
        (each, by_atom)
        for each, drift in drifts
        if abs(by_atom := drift / len(each.plan.start)) > MOST_DRIFT
    ]
    if off:
        told = ", ".join(f"{_named(each)} {value:.2g}" for each, value in off[:TOLD])
        yield AnswerWarning(
            "energy_drift",
            f"the total energy drifts, by eV/atom/ps: {told}{_more(len(off))} (usual: below "
            f"{MOST_DRIFT:g}); take a shorter timestep_fs; where that does not help, the model's forces are "
            "uneven there",
        )


def _strange(trajectories: list[Trajectory], options: MdOptions) -> Iterator[AnswerWarning]:
    strange = [each for each in trajectories if each.strange]
    if not strange:
        return
    first = strange[0]
    step, what = first.strangest
    looks = sum(each.looks for each in trajectories)
    found = sum(each.strange for each in strange)
    yield AnswerWarning(
        "out_of_domain",
        f"during the dynamics, at {found} of {looks} looks; {_named(first)} first after "
        f"{step * options.timestep_fs:g} fs: {what}",
    )


def _named(trajectory: Trajectory) -> str:
    state = trajectory.plan.state
    return f"replica {state.replica} at {state.temperature_K:g} K"


def _more(count: int) -> str:
    return f" and {count - TOLD} more" if count > TOLD else ""


MD = TaskKind(
    "md",
    "molecular dynamics of many replicas: in a heat bath (Langevin), also under a pressure, or with the energy kept",
    MdOptions,
    MdValue,
    run,
    check,
)
