"""Plans: where each replica of a structure begins, and how it is to move."""

from dataclasses import dataclass, replace

import numpy as np

from app.atoms.structure import Floats, Structure
from app.errors import InvalidStructure
from app.tasks.md.barostat import Barostat
from app.tasks.md.body import Body
from app.tasks.md.integrator import Motion
from app.tasks.md.noise import Noise, thermal
from app.tasks.md.options import MdBarostat, MdOptions, MdState


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a replica of N atoms is to do.

    Attributes:
        start: where it begins.
        velocities: (N, 3), Å/fs, there.
        state: seed, number, temperature, step and time there.
        body: what of it moves.
        options: what is asked.
    """

    start: Structure
    velocities: Floats
    state: MdState
    body: Body
    options: MdOptions

    @property
    def in_bath(self) -> bool:
        """Whether a heat bath moves it."""
        return self.options.ensemble != "nve"

    @property
    def motion(self) -> Motion:
        """What moves its atoms."""
        friction = 1e-3 * self.options.friction_per_ps if self.in_bath else 0.0
        body, step = self.body, self.options.timestep_fs
        return Motion.of(body.masses, body.free, step, friction, self.state.temperature_K)

    def noise(self) -> Noise:
        """Its random numbers."""
        state = self.state
        return Noise(state.random_seed, state.replica, state.temperature_K, len(self.start))

    def barostat(self) -> Barostat | None:
        """What moves its cell; None where nothing does."""
        if self.options.ensemble != "npt":
            return None
        freedom, state = self.body.degrees_of_freedom, self.state
        return Barostat.of(
            self.options, len(self.start), freedom, state.temperature_K, state.barostat
        )

    def at(self, positions: Floats, scale: float) -> Structure:
        """The structure with atoms at (N, 3), Å, in a cell whose lengths grew by a factor."""
        if scale == 1.0:
            return self.start.at(positions)
        return replace(self.start, positions=positions, cell=scale * self.start.cell)

    def after(
        self,
        made: int,
        positions: Floats,
        velocities: Floats,
        scale: float,
        barostat: MdBarostat | None,
    ) -> MdState:
        """Its state after so many steps, at (N, 3) Å with (N, 3) Å/fs, in a cell that grew by a factor."""
        cell = (scale * self.start.cell).tolist() if self.start.pbc.any() else None
        if barostat is None and self.state.barostat is not None:
            barostat = MdBarostat(momentum_eV_fs=0.0)  # the cell is at rest, as npt left it
        return self.state.model_copy(
            update={
                "step": self.state.step + made,
                "time_fs": self.state.time_fs + made * self.options.timestep_fs,
                "cell_A": cell,
                "positions_A": positions.tolist(),
                "velocities_A_per_fs": velocities.tolist(),
                "barostat": barostat,
            }
        )


def plans_of(structure: Structure, options: MdOptions) -> list[Plan]:
    """Those of all replicas of a structure.

    Raises:
        InvalidStructure: nothing of it moves, or a state is none of its atoms.
    """
    in_bath = options.ensemble != "nve"
    if options.restart is not None:
        return [
            _resumed(structure, number, state, options, in_bath)
            for number, state in enumerate(options.restart)
        ]
    body = Body.of(structure, in_bath)
    return [
        _begun(structure, body, replica, temperature, options)
        for temperature in options.temperatures_K
        for replica in range(options.replicas)
    ]


def _begun(
    structure: Structure, body: Body, replica: int, temperature: float, options: MdOptions
) -> Plan:
    """A replica at the structure, with velocities of a temperature."""
    noise = Noise(options.random_seed, replica, temperature, len(structure))
    velocities = thermal(noise.first(), body, temperature)
    state = MdState(
        random_seed=options.random_seed,
        replica=replica,
        temperature_K=temperature,
        step=0,
        time_fs=0.0,
        numbers=structure.numbers.tolist(),
        charge=structure.charge,
        cell_A=structure.cell.tolist() if structure.pbc.any() else None,
        positions_A=structure.positions.tolist(),
        velocities_A_per_fs=velocities.tolist(),
    )
    return Plan(replace(structure), velocities, state, body, options)


def check_same(structure: Structure, state: MdState, where: str) -> None:
    """Whether a state is one of this structure's atoms, charge and cell.

    Raises:
        InvalidStructure: it is not.
    """
    differing = np.flatnonzero(
        state.numbers[: len(structure)] != structure.numbers[: len(state.numbers)]
    )
    if len(state.numbers) != len(structure) or len(differing):
        at = f"; they differ at atom {differing[0]}" if len(differing) else ""
        raise InvalidStructure(
            f"{where}.numbers: is a state of {len(state.numbers)} other atoms than the {len(structure)} of "
            f"the structure{at}; send the structure that the state belongs to"
        )
    if state.charge != structure.charge:
        raise InvalidStructure(
            f"{where}.charge: is {state.charge}, and that of the structure {structure.charge}; state the same"
        )
    if not _is_cell_of(structure, state):
        raise InvalidStructure(
            f"{where}.cell_A: is not the cell of the structure, of any size after npt; send that of the state"
        )


def _is_cell_of(structure: Structure, state: MdState) -> bool:
    """Whether a state is in the cell of the structure, which `npt` gives another size."""
    if not structure.pbc.any() or state.cell_A is None:
        return not structure.pbc.any() and state.cell_A is None
    if len(state.cell_A) != 3 or any(len(row) != 3 for row in state.cell_A):
        return False
    cell, own = structure.cell, np.array(state.cell_A)
    if state.barostat is not None and structure.is_bulk:
        cell = cell * np.cbrt(np.linalg.det(own) / np.linalg.det(cell))
    return bool(np.allclose(cell, own, atol=1e-6))


def _resumed(
    structure: Structure, number: int, state: MdState, options: MdOptions, in_bath: bool
) -> Plan:
    """A replica that goes on from a state."""
    where, atoms = f"restart.{number}", len(structure)
    check_same(structure, state, where)
    for name in ("positions_A", "velocities_A_per_fs"):
        rows = getattr(state, name)
        if len(rows) != atoms or any(len(row) != 3 for row in rows):
            raise InvalidStructure(
                f"{where}.{name}: expected 3 numbers for each of the {atoms} atoms of the structure, in "
                "their order"
            )
    velocities = np.array(state.velocities_A_per_fs)
    if not np.isfinite(velocities).all():
        raise InvalidStructure(f"{where}.velocities_A_per_fs: a value is not finite")
    try:
        start = structure.at(state.positions_A)
        if state.cell_A is not None:
            start = replace(start, cell=np.array(state.cell_A))
    except InvalidStructure as error:
        raise InvalidStructure(f"{where}.positions_A: {error}") from None
    body = Body.of(start, in_bath)
    if "temperatures_K" in options.model_fields_set:
        state = state.model_copy(update={"temperature_K": options.temperatures_K[0]})
    return Plan(start, body.without_rigid(velocities), state, body, options)
