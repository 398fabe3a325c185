"""`md`: argon against ASE's integrators, the canonical ensemble, seeds, restarts, and what breaks."""

import io
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from pydantic import ValidationError
from scipy.stats import gamma, kstest

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Floats, Structure
from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import InvalidStructure, StructureTooLarge
from app.tasks import TASKS, Course, Done, Stage
from app.tasks.md.noise import Noise
from app.tasks.md.value import MdReplica, MdValue
from tests.tasks.doing import done, done_all, structure_of

LIQUID = bulk("Ar", "fcc", a=5.75, cubic=True) * (2, 2, 2)
"""32 atoms at the density of liquid argon."""
TRIMER = Atoms("Ar3", [[0, 3.8, 0.1], [0, 0, 0], [3.8, 0, 0]])
ARRAYS: dict[str, Any] = {"trajectory": "arrays", "velocities": True}


def value_of(result: Done) -> MdValue:
    assert isinstance(result.value, MdValue)
    return result.value


def replica_of(result: Done, number: int = 0) -> MdReplica:
    return value_of(result).replicas[number]


def positions(replica: MdReplica) -> Floats:
    assert replica.positions_A is not None
    return np.array(replica.positions_A)


def as_ase_moves(
    atoms: Atoms,
    replica: MdReplica,
    dynamics: type[MolecularDynamics],
    cells: list[Floats] | None = None,
    **options: Any,
) -> list[Floats]:
    """Where ASE's integrator leads from the first frame, with the options of its own; and the cells there."""
    assert replica.velocities_A_per_fs is not None
    moving = atoms.copy()
    moving.calc = LennardJones(epsilon=0.01, sigma=3.4, rc=6.0, smooth=True)
    moving.set_velocities(np.array(replica.velocities_A_per_fs[0]) / units.fs)
    frames: list[Floats] = []
    run = dynamics(moving, timestep=5.0 * units.fs, **options)
    run.attach(lambda: frames.append(moving.positions.copy()), interval=20)
    if cells is not None:
        run.attach(lambda: cells.append(np.array(moving.cell)), interval=20)
    run.run(len(positions(replica)) * 20 - 20)
    return frames


def test_energy_is_kept_along_the_trajectory_of_ase(argon: PairBackend) -> None:
    asked: dict[str, Any] = {"ensemble": "nve", "temperatures_K": [160], "timestep_fs": 5.0}
    replica = replica_of(done(argon, "md", structure_of(LIQUID), steps=200, **asked, **ARRAYS))
    of_ase = as_ase_moves(LIQUID, replica, VelocityVerlet)
    assert np.array(of_ase) == pytest.approx(positions(replica), abs=1e-7)
    # so that it diffuses as there, too
    moved = ((positions(replica)[-1] - LIQUID.positions) ** 2).sum(axis=1).mean()
    assert moved == pytest.approx(((of_ase[-1] - LIQUID.positions) ** 2).sum(axis=1).mean())
    assert moved > 0.5  # Å², in 1 ps
    assert replica.energy_drift_eV_per_atom_per_ps == pytest.approx(0, abs=2e-5)
    total = np.add(replica.potential_energies_eV, replica.kinetic_energies_eV)
    assert np.ptp(total) < 0.02 * np.ptp(replica.kinetic_energies_eV)
    momentum = np.sum(replica.last.velocities_A_per_fs, axis=0)
    assert momentum == pytest.approx(0, abs=1e-12)


def test_the_error_of_the_energy_is_of_second_order(argon: PairBackend) -> None:
    errors = []
    for timestep, steps in ((10.0, 50), (5.0, 100)):
        asked = {"ensemble": "nve", "temperatures_K": 30, "timestep_fs": timestep, "steps": steps}
        replica = replica_of(done(argon, "md", structure_of(TRIMER), **asked))
        assert replica.energy_std_eV_per_atom is not None
        errors.append(replica.energy_std_eV_per_atom)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)


class Same(np.random.Generator):
    """The random numbers of a replica, for ASE."""

    def __init__(self, noise: Noise) -> None:
        super().__init__(np.random.PCG64())
        self._own, self._step = noise, -1

    def normal(self, *_: Any, size: Any = None, **__: Any) -> Any:
        if not size:  # of the cell, after those of its atoms
            return self._own.of_cell(self._step)
        self._step += 1
        return self._own.of(self._step)


def test_a_heat_bath_as_that_of_ase(argon: PairBackend) -> None:
    asked: dict[str, Any] = {"timestep_fs": 5.0, "friction_per_ps": 10.0, "temperatures_K": [94]}
    replica = replica_of(done(argon, "md", structure_of(LIQUID), steps=80, **asked, **ARRAYS))
    noise = Same(Noise(1, 0, 94.0, len(LIQUID)))
    options = {"temperature_K": 94.0, "T_tau": 100.0 * units.fs, "rng": noise}
    of_ase = as_ase_moves(LIQUID, replica, LangevinBAOAB, **options)
    assert np.array(of_ase) == pytest.approx(positions(replica), abs=1e-7)


def test_a_cell_under_pressure_as_that_of_ase(argon: PairBackend) -> None:
    asked: dict[str, Any] = {"timestep_fs": 5.0, "friction_per_ps": 10.0, "temperatures_K": [94]}
    pressed = {"ensemble": "npt", "pressure_GPa": 0.2, "barostat_ps": 0.5}
    replica = replica_of(
        done(argon, "md", structure_of(LIQUID), steps=160, **asked, **pressed, **ARRAYS)
    )
    cells: list[Floats] = []
    options = {
        "temperature_K": 94.0,
        "T_tau": 100.0 * units.fs,
        "externalstress": -0.2 * units.GPa,
        "hydrostatic": True,
        "P_tau": 500.0 * units.fs,
        "rng": Same(Noise(1, 0, 94.0, len(LIQUID))),
    }
    with pytest.warns(UserWarning, match="heuristic P_mass"):
        of_ase = as_ase_moves(LIQUID, replica, LangevinBAOAB, cells, **options)
    assert np.array(of_ase) == pytest.approx(positions(replica), abs=1e-7)
    assert np.array(replica.cells_A) == pytest.approx(np.array(cells), abs=1e-8)
    assert replica.volumes_A3 == pytest.approx([abs(np.linalg.det(cell)) for cell in cells])
    assert replica.volumes_A3[-1] < 0.95 * replica.volumes_A3[0]


def test_kinetic_energies_are_those_of_the_canonical_ensemble(argon: PairBackend) -> None:
    asked = {"timestep_fs": 5.0, "friction_per_ps": 100.0, "temperatures_K": [20, 30]}
    more = {"steps": 300, "replicas": 8, "save_every": 5, "random_seed": 7}
    value = value_of(done(argon, "md", structure_of(TRIMER), **asked, **more))
    assert value.degrees_of_freedom == 9
    for temperature in (20, 30):
        own = [r for r in value.replicas if r.temperature_K == temperature]
        # Every fifth step, after which friction has left e^-5 of an energy.
        energies = np.concatenate([r.kinetic_energies_eV for r in own])
        assert kstest(energies, gamma(4.5, scale=units.kB * temperature).cdf).pvalue > 0.01
        mean = np.mean([r.mean_temperature_K for r in own])
        assert mean == pytest.approx(temperature, rel=0.02)
        spread = np.mean([r.temperature_std_K for r in own])
        assert spread == pytest.approx(temperature * np.sqrt(2 / 9), rel=0.1)


def test_first_velocities_are_those_of_maxwell(argon: PairBackend) -> None:
    asked = {"steps": 1, "replicas": 200, "temperatures_K": 50, "save_every": 1, **ARRAYS}
    value = value_of(done(argon, "md", structure_of(TRIMER), **asked))
    first = np.array([r.kinetic_energies_eV[0] for r in value.replicas])
    assert kstest(first, gamma(4.5, scale=units.kB * 50).cdf).pvalue > 0.01
    still = value_of(done(argon, "md", structure_of(TRIMER), ensemble="nve", **asked))
    assert still.degrees_of_freedom == 3
    for replica in still.replicas[:5]:
        assert replica.velocities_A_per_fs is not None
        velocities = np.array(replica.velocities_A_per_fs[0])
        assert velocities.sum(axis=0) == pytest.approx(0, abs=1e-15)
        turning = np.cross(TRIMER.positions, velocities).sum(axis=0)
        assert turning == pytest.approx(0, abs=1e-14)


def test_a_seed_gives_the_same_trajectory_whatever_else_moves(argon: PairBackend) -> None:
    asked: dict[str, Any] = {"timestep_fs": 5.0, "steps": 60, "trajectory": "arrays"}
    alone = replica_of(done(argon, "md", structure_of(TRIMER), temperatures_K=30, **asked))
    several = [
        structure_of(LIQUID),
        structure_of(TRIMER),
        structure_of(Atoms("Ar2", LIQUID[:2].positions)),
    ]
    found = done_all(argon, "md", several, temperatures_K=[20, 30], replicas=2, **asked)
    assert [r.temperature_K for r in value_of(found[1]).replicas] == [20, 20, 30, 30]
    among = value_of(found[1]).replicas[2]
    assert (positions(among) == positions(alone)).all()
    assert among.last == alone.last
    other = replica_of(
        done(argon, "md", structure_of(TRIMER), temperatures_K=30, random_seed=2, **asked)
    )
    assert not np.allclose(positions(other)[1], positions(alone)[1])
    assert not np.allclose(positions(value_of(found[1]).replicas[3]), positions(alone))


@pytest.mark.parametrize("ensemble", ["nvt", "nve", "npt"])
def test_what_restarts_goes_on_as_if_it_had_not_stopped(argon: PairBackend, ensemble: str) -> None:
    asked: dict[str, Any] = {"ensemble": ensemble, "timestep_fs": 5.0, "trajectory": "none"}
    structure = structure_of(LIQUID)
    whole = value_of(done(argon, "md", structure, steps=75, replicas=2, **asked)).replicas
    half = value_of(done(argon, "md", structure, steps=40, replicas=2, **asked)).replicas
    states = [replica.last.model_dump() for replica in half]
    rest = value_of(done(argon, "md", structure, steps=35, restart=states, **asked)).replicas
    for once, again in zip(whole, rest, strict=True):
        assert again.last.step == once.last.step == 75
        assert again.last.time_fs == once.last.time_fs == 375
        assert again.times_fs[0] == 200
        assert again.last.positions_A == pytest.approx(np.array(once.last.positions_A), abs=1e-9)
    hotter = value_of(
        done(argon, "md", structure, steps=1, restart=states[:1], temperatures_K=400, **asked)
    )
    assert hotter.replicas[0].temperature_K == 400
    if ensemble == "npt":  # its cell has another size, and is kept from there on
        left = value_of(done(argon, "md", structure, steps=1, restart=states, ensemble="nve"))
        kept = left.replicas[0].last
        assert kept.cell_A == states[0]["cell_A"] != structure.cell.tolist()
        done(argon, "md", structure, steps=1, restart=[kept.model_dump()], **asked)
        sheared = {**states[0], "cell_A": (np.array(states[0]["cell_A"]) + np.eye(3)[1]).tolist()}
        with pytest.raises(InvalidStructure, match=r"restart.0.cell_A: is not the cell"):
            done(argon, "md", structure, steps=1, restart=[sheared], **asked)


def test_frames_are_a_file(argon: PairBackend) -> None:
    asked = {"timestep_fs": 5.0, "steps": 45, "save_every": 20, "temperatures_K": [80]}
    replica = replica_of(done(argon, "md", structure_of(LIQUID), **asked))
    assert replica.positions_A is None
    frames = ase.io.read(io.StringIO(replica.trajectory_extxyz), ":", format="extxyz")
    assert [frame.info["time_fs"] for frame in frames] == replica.times_fs == [0, 100, 200]
    assert [f.get_potential_energy() for f in frames] == replica.potential_energies_eV
    calculator = LennardJones(epsilon=0.01, sigma=3.4, rc=6.0, smooth=True)
    assert calculator.get_potential_energy(frames[-1]) == pytest.approx(
        replica.potential_energies_eV[-1]
    )
    assert replica.last.time_fs == 225


def test_fixed_atoms_stay(argon: PairBackend) -> None:
    held = structure_of(TRIMER, fixed=[1])
    for ensemble, freedom in (("nvt", 6), ("nve", 3)):
        asked: dict[str, Any] = {"ensemble": ensemble, "temperatures_K": 20, "steps": 50, **ARRAYS}
        value = value_of(done(argon, "md", held, **asked))
        assert value.degrees_of_freedom == freedom
        assert (positions(value.replicas[0])[:, 1] == held.positions[1]).all()
        assert not np.allclose(positions(value.replicas[0])[-1, 0], held.positions[0])


def test_one_that_explodes_costs_the_others_nothing(argon: PairBackend) -> None:
    tight = structure_of(Atoms("Ar2", [[0, 0, 0], [0, 0, 2.2]]))
    asked: dict[str, Any] = {"timestep_fs": 2.0, "steps": 40, "temperatures_K": 20}
    alone = replica_of(done(argon, "md", structure_of(TRIMER), **asked))
    broken, fine = done_all(argon, "md", [tight, structure_of(TRIMER)], **asked)
    replica = replica_of(broken)
    assert replica.reason.startswith("stopped: a temperature of")
    assert "over the limit of 10000 (max_temperature_K)" in replica.reason
    assert 0 < replica.steps < 40
    assert [warning.code for warning in broken.warnings] == ["dynamics_stopped"]
    assert "replica 0 at 20 K after" in broken.warnings[0].message
    assert replica_of(fine).last == alone.last
    assert not fine.warnings
    fast = replica_of(done(argon, "md", tight, **{**asked, "timestep_fs": 20.0}))
    assert "would move" in fast.reason
    assert "take a shorter timestep_fs" in fast.reason
    relaxed = replica_of(done(argon, "md", tight, max_steps=100, **asked))
    assert relaxed.reason == "completed"


def test_a_replica_that_begins_beyond_a_limit_is_told_with_its_beginning(
    argon: PairBackend,
) -> None:
    asked: dict[str, Any] = {"temperatures_K": [20, 500], "max_temperature_K": 100}
    fine, hot = value_of(done(argon, "md", structure_of(TRIMER), steps=5, **asked)).replicas
    assert (fine.reason, fine.steps) == ("completed", 5)
    assert hot.reason.startswith("stopped: a temperature of ")
    assert (hot.steps, hot.times_fs, hot.last.step) == (0, [0.0], 0)
    assert hot.potential_energies_eV == fine.potential_energies_eV[:1]
    assert hot.mean_temperature_K > 100


def told_of(argon: PairBackend, **options: Any) -> tuple[list[Stage], Done]:
    """What is told of dynamics while they go on, and their end."""
    stages: list[Stage] = []
    course = Course(tell=stages.append)
    result = done(argon, "md", structure_of(TRIMER), course=course, bonds="ignore", **options)
    assert {stage.name for stage in stages} == {"steps"}
    assert [stage.done for stage in stages] == sorted(stage.done for stage in stages)
    return stages, result


def test_steps_of_one_long_replica_are_told(argon: PairBackend) -> None:
    stages, _ = told_of(argon, steps=45)
    told = {(stage.done, stage.total) for stage in stages}
    assert told >= {(made, 45) for made in (0, 10, 20, 30, 40, 45)}


def test_steps_that_a_broken_replica_leaves_out_are_expected_no_more(argon: PairBackend) -> None:
    asked: dict[str, Any] = {"temperatures_K": [20, 500], "max_temperature_K": 600}
    stages, result = told_of(argon, steps=40, **asked)
    made = [replica.steps for replica in value_of(result).replicas]
    assert made[0] == 40 > made[1]
    assert (stages[0].total, stages[-1].total) == (80, sum(made))
    assert stages[-1].done == sum(made)


def test_a_cell_that_runs_away_is_told(argon: PairBackend) -> None:
    """Under tension; before, its numbers overflowed."""
    asked: dict[str, Any] = {"ensemble": "npt", "timestep_fs": 4.0, "trajectory": "none"}
    asked |= {"temperatures_K": [2, 80], "steps": 450}
    solid = structure_of(bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 2, 2))
    for pressure in (-0.3, -10.0, -1000.0):
        torn = value_of(done(argon, "md", solid, **asked, pressure_GPa=pressure)).replicas
        assert all(replica.reason.startswith("stopped: its cell ") for replica in torn)
    pressed = value_of(done(argon, "md", solid, **asked, pressure_GPa=0.1)).replicas
    assert [replica.reason for replica in pressed] == ["completed", "completed"]


def test_a_bond_that_breaks_ends_a_replica(argon: PairBackend) -> None:
    weak = structure_of(Atoms("C2", [[0, 0, 0], [0, 0, 1.6]]))  # bound by 10 meV
    asked: dict[str, Any] = {"timestep_fs": 1.0, "steps": 300, "temperatures_K": 2000}
    replica = replica_of(done(argon, "md", weak, **asked))
    assert "the bond between atom 0 (C) and atom 1 (C) broke, at" in replica.reason
    assert replica.steps % 20 == 0
    ignored = replica_of(done(argon, "md", weak, bonds="ignore", **asked))
    assert ignored.reason == "completed"


class Failing(PairBackend):
    """Has no number for atoms that are further apart than 4 Å."""

    def __call__(self, graph: Graph) -> Prediction:
        prediction = super().__call__(graph)
        vectors = graph.edge_vectors()
        far = graph.atom_structure[graph.edge_index[0][np.linalg.norm(vectors, axis=1) > 4.0]]
        prediction.energy[far] = np.nan
        return prediction


def test_numbers_that_are_not_finite_end_a_replica(argon: PairBackend) -> None:
    apart, bound = (structure_of(Atoms("Ar2", [[0, 0, 0], [0, 0, z]])) for z in (3.9, 3.82))
    asked = {"timestep_fs": 5.0, "steps": 100, "random_seed": 3}
    backend = Failing(argon.card)
    found = done_all(backend, "md", [apart, bound], temperatures_K=[0, 300], **asked)
    for result in found:
        cold, hot = value_of(result).replicas
        assert cold.reason == "completed"
        assert hot.reason.startswith("stopped: ")
        assert "finite" in hot.reason
        assert hot.steps > 0


def test_molecules_of_the_bundled_model(organic: Backend) -> None:
    ethanol = structure_of(molecule("CH3CH2OH"))
    result = done(
        organic, "md", ethanol, ensemble="nve", steps=200, max_steps=300, temperatures_K=200
    )
    replica = replica_of(result)
    assert replica.reason == "completed"
    assert replica.energy_drift_eV_per_atom_per_ps == pytest.approx(0, abs=2e-3)
    assert result.relaxed.converged
    assert value_of(result).degrees_of_freedom == 21
    long = done(organic, "md", ethanol, steps=2, timestep_fs=2.0)
    assert "timestep_long" in [warning.code for warning in long.warnings]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temperatures_K": []}, "at least 1 item"),
        ({"temperatures_K": [-1]}, "greater than or equal to 0"),
        ({"timestep_fs": 0}, "greater than 0"),
        ({"restart": [], "steps": 5}, "at least 1 item"),
        ({"restart": [{"random_seed": 1}]}, "replica"),
        ({"pressure_GPa": 1.0}, "pressure_GPa: is of npt, and ensemble nvt is asked for"),
        ({"ensemble": "nve", "friction_per_ps": 7.0}, "friction_per_ps: is of nvt and npt"),
        ({"trajectory": "none", "velocities": True}, "velocities: are of the trajectory"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TASKS["md"].options(**options)


def test_what_is_stated_of_a_restart_stands_in_its_states(argon: PairBackend) -> None:
    state = replica_of(done(argon, "md", structure_of(TRIMER), steps=1)).last.model_dump()
    for more, told in (
        ({"replicas": 2}, "replicas: is that of each state"),
        ({"random_seed": 2}, "random_seed: is that of each state"),
        ({"max_steps": 2}, "are not relaxed"),
        ({"temperatures_K": [1, 2]}, "state one for all"),
    ):
        with pytest.raises(ValidationError, match=told):
            TASKS["md"].options(restart=[state], **more)
    short = {**state, "positions_A": state["positions_A"][:2]}
    with pytest.raises(
        InvalidStructure, match=r"restart.0.positions_A: expected 3 numbers for each"
    ):
        done(argon, "md", structure_of(TRIMER), restart=[short])
    with pytest.raises(ValidationError, match=r"restart.1: is restart.0 again"):
        TASKS["md"].options(restart=[state, state])
    bad = {**state, "positions_A": [[0.0, 0.0, 1e9]] * 3}
    with pytest.raises(InvalidStructure, match=r"restart.0.positions_A: atom 0"):
        done(argon, "md", structure_of(TRIMER), restart=[bad])


def test_a_state_is_one_of_its_own_atoms_charge_and_cell(argon: PairBackend) -> None:
    state = replica_of(done(argon, "md", structure_of(TRIMER), steps=1)).last.model_dump()
    boxed = Atoms(TRIMER, cell=[20.0] * 3, pbc=True)
    in_box = replica_of(done(argon, "md", structure_of(boxed), steps=1)).last.model_dump()
    wider = Atoms(TRIMER, cell=[21.0] * 3, pbc=True)
    for atoms, given, told in (
        (Atoms("Ar2Ne", TRIMER.positions), state, "numbers: is a state of 3 other .* at atom 2"),
        (LIQUID, state, "numbers: is a state of 3 other atoms than the 32"),
        (TRIMER, {**state, "charge": 2}, "charge: is 2, and that of the structure 0"),
        (boxed, state, "cell_A: is not the cell"),
        (TRIMER, in_box, "cell_A: is not the cell"),
        (wider, in_box, "cell_A: is not the cell"),
    ):
        with pytest.raises(InvalidStructure, match=rf"restart.0.{told}"):
            done(argon, "md", structure_of(atoms), restart=[given])


def test_replicas_that_would_move_alike_are_refused() -> None:
    with pytest.raises(ValidationError, match="state more replicas"):
        TASKS["md"].options(temperatures_K=[300, 300])


def test_what_cannot_move(argon: PairBackend) -> None:
    trimer = structure_of(TRIMER)
    with pytest.raises(InvalidStructure, match="nothing moves"):
        done(argon, "md", structure_of(TRIMER, fixed=[0, 1, 2]))
    with pytest.raises(InvalidStructure, match="ask for nvt"):
        done(argon, "md", structure_of(Atoms("Ar")), ensemble="nve")
    with pytest.raises(InvalidStructure, match="npt is of what repeats in all three directions"):
        done(argon, "md", trimer, ensemble="npt")
    with pytest.raises(InvalidStructure, match="fixed: of npt all atoms move with the cell"):
        done(argon, "md", structure_of(LIQUID, fixed=[0]), ensemble="npt")
    with pytest.raises(
        StructureTooLarge, match=r"200000 steps take 200001 evaluations; at most 100000"
    ):
        done(argon, "md", trimer, steps=200_000)
    with pytest.raises(StructureTooLarge, match="save_every: 1 makes 20100 frames of 32 atoms"):
        done(
            argon,
            "md",
            structure_of(LIQUID),
            steps=200,
            replicas=100,
            temperatures_K=20,
            save_every=1,
        )


def test_a_single_atom_in_a_heat_bath(argon: PairBackend) -> None:
    value = value_of(done(argon, "md", Structure(np.array([18]), np.zeros((1, 3))), steps=20))
    assert value.degrees_of_freedom == 3
    assert value.replicas[0].reason == "completed"
