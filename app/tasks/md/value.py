"""What `md` finds, as it is told."""

import numpy as np
from pydantic import Field

from app.atoms.structure import Floats
from app.formats.extxyz.writer import format_frame
from app.relax.options import GPA
from app.tasks.kind import TaskValue
from app.tasks.md.dynamics import COMPLETED, Frame, Trajectory, temperature_of
from app.tasks.md.options import MdOptions, MdState

FEWEST = 10
"""Steps of which a drift is told."""


class MdReplica(TaskValue):
    """One replica; K frames are told of it, the first geometry among them."""

    random_seed: int
    replica: int
    temperature_K: float = Field(description="K, of the heat bath, or of its first velocities")
    reason: str = Field(description="`completed`, or `stopped: …`")
    steps: int = Field(description="sound steps of this run")
    mean_temperature_K: float = Field(description="K, of the velocities, over all steps")
    temperature_std_K: float = Field(description="K, its standard deviation over the steps")
    mean_potential_energy_eV: float
    energy_drift_eV_per_atom_per_ps: float | None = Field(
        default=None, description="slope of the total energy, of `nve`; none of a few steps"
    )
    energy_std_eV_per_atom: float | None = Field(
        default=None, description="root mean square of the total energy from that slope, of `nve`"
    )
    mean_volume_A3: float | None = Field(default=None, description="over all steps, of `npt`")
    volume_std_A3: float | None = Field(default=None, description="its standard deviation")
    mean_pressure_GPa: float | None = Field(
        default=None, description="of velocities and forces, over all steps, of `npt`"
    )
    times_fs: list[float] = Field(description="(K), since its first beginning")
    potential_energies_eV: list[float] = Field(description="(K)")
    kinetic_energies_eV: list[float] = Field(description="(K)")
    temperatures_K: list[float] = Field(description="(K)")
    volumes_A3: list[float] | None = Field(default=None, description="(K), of `npt`")
    cells_A: list[list[list[float]]] | None = Field(
        default=None, description="(K, 3, 3), of `npt` with `arrays`"
    )
    trajectory_extxyz: str | None = Field(
        default=None, description="the frames as extended XYZ; positions are not wrapped"
    )
    positions_A: list[list[list[float]]] | None = Field(default=None, description="(K, N, 3)")
    velocities_A_per_fs: list[list[list[float]]] | None = Field(
        default=None, description="(K, N, 3); where asked for"
    )
    last: MdState = Field(description="after the last sound step, for `restart`")


class MdValue(TaskValue):
    """Dynamics of one structure, from where `relaxed` ended."""

    ensemble: str
    timestep_fs: float
    friction_per_ps: float | None = Field(default=None, description="of `nvt` and `npt`")
    pressure_GPa: float | None = Field(default=None, description="of `npt`")
    barostat_ps: float | None = Field(default=None, description="of `npt`")
    save_every: int
    degrees_of_freedom: int = Field(
        description="of the velocities: 3 of each free atom, of `nve` without motions as a whole"
    )
    evaluations: int = Field(description="that all replicas took")
    symbols: list[str]
    replicas: list[MdReplica]


def value_of(trajectories: list[Trajectory], options: MdOptions) -> MdValue:
    """What is told of all replicas of a structure."""
    plan = trajectories[0].plan
    return MdValue(
        ensemble=options.ensemble,
        timestep_fs=options.timestep_fs,
        friction_per_ps=options.friction_per_ps if plan.in_bath else None,
        pressure_GPa=options.pressure_GPa if options.ensemble == "npt" else None,
        barostat_ps=options.barostat_ps if options.ensemble == "npt" else None,
        save_every=options.save_every,
        degrees_of_freedom=plan.body.degrees_of_freedom,
        evaluations=sum(len(each.potential) for each in trajectories),
        symbols=plan.start.symbols,
        replicas=[_replica(each, options) for each in trajectories],
    )


def drift_of(trajectory: Trajectory) -> tuple[float, float] | None:
    """eV/ps and eV: the slope of the total energy, and the root mean square of what it leaves; None of
    a few steps, and with a heat bath.
    """
    total = np.add(trajectory.potential, trajectory.kinetic)
    if trajectory.plan.in_bath or len(total) < FEWEST:
        return None
    times = 1e-3 * trajectory.plan.options.timestep_fs * np.arange(len(total))
    slope, offset = np.polyfit(times, total - total[0], 1)
    left = total - total[0] - slope * times - offset
    return float(slope), float(np.sqrt(np.mean(left**2)))


def _replica(seen: Trajectory, options: MdOptions) -> MdReplica:
    plan, state = seen.plan, seen.plan.state
    atoms, freedom = len(plan.start), plan.body.degrees_of_freedom
    temperatures = np.array([temperature_of(k, freedom) for k in seen.kinetic])
    made = [frame.made for frame in seen.frames]
    drift = drift_of(seen)
    return MdReplica(
        random_seed=state.random_seed,
        replica=state.replica,
        temperature_K=state.temperature_K,
        reason=seen.reason,
        steps=seen.last.made,
        mean_temperature_K=float(temperatures.mean()),
        temperature_std_K=float(temperatures.std()),
        mean_potential_energy_eV=float(np.mean(seen.potential)),
        energy_drift_eV_per_atom_per_ps=None if drift is None else drift[0] / atoms,
        energy_std_eV_per_atom=None if drift is None else drift[1] / atoms,
        mean_volume_A3=float(np.mean(seen.volumes)) if seen.volumes else None,
        volume_std_A3=float(np.std(seen.volumes)) if seen.volumes else None,
        mean_pressure_GPa=float(np.mean(seen.pressures)) / GPA if seen.volumes else None,
        times_fs=[state.time_fs + step * options.timestep_fs for step in made],
        potential_energies_eV=[seen.potential[step] for step in made],
        kinetic_energies_eV=[seen.kinetic[step] for step in made],
        temperatures_K=temperatures[made].tolist(),
        volumes_A3=[seen.volumes[step] for step in made] if seen.volumes else None,
        cells_A=_rows([frame.scale * plan.start.cell for frame in seen.frames])
        if seen.volumes and options.trajectory == "arrays"
        else None,
        trajectory_extxyz=_extxyz(seen, temperatures) if options.trajectory == "extxyz" else None,
        positions_A=_rows([frame.positions for frame in seen.frames])
        if options.trajectory == "arrays"
        else None,
        velocities_A_per_fs=_rows([frame.velocities for frame in seen.frames])
        if options.velocities
        else None,
        last=plan.after(
            seen.last.made,
            seen.last.positions,
            seen.last.velocities,
            seen.last.scale,
            seen.last.barostat,
        ),
    )


def _rows(frames: list[Floats]) -> list[list[list[float]]]:
    return [frame.tolist() for frame in frames]


def _extxyz(seen: Trajectory, temperatures: Floats) -> str:
    return "".join(_frame(seen, frame, float(temperatures[frame.made])) for frame in seen.frames)


def _frame(seen: Trajectory, frame: Frame, temperature: float) -> str:
    """One frame, with its potential energy as its energy."""
    state, plan = seen.plan.state, seen.plan
    info = {
        "replica": state.replica,
        "step": state.step + frame.made,
        "time_fs": state.time_fs + frame.made * plan.options.timestep_fs,
        "temperature_K": temperature,
        "kinetic_energy_eV": seen.kinetic[frame.made],
    }
    structure = plan.at(frame.positions, frame.scale)
    return format_frame(structure, {"energy": seen.potential[frame.made]}, info)


def is_whole(trajectory: Trajectory) -> bool:
    """Whether a replica came to its end."""
    return trajectory.reason == COMPLETED
