"""`neb`: ammonia and a vacancy in argon against ASE's NEB, several paths, and ends that are none."""

import time
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.mep import NEB
from ase.optimize import FIRE

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Floats
from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import InvalidStructure, NotConverged, StructureTooLarge
from app.tasks import Course, Done, Stage
from app.tasks.neb.band import band_forces
from app.tasks.neb.idpp import interpolated
from app.tasks.neb.neb import NebPath, NebValue, _doubts
from app.tasks.neb.path import Path
from tests.tasks.doing import done, done_all, structure_of

AMMONIA = molecule("NH3")
INVERTED = AMMONIA.copy()
INVERTED.positions[0, 2] = 2 * AMMONIA.positions[1, 2] - AMMONIA.positions[0, 2]


def vacancy(size: int = 2) -> tuple[Atoms, list[Atoms]]:
    """A crystal of argon without the atom at the origin, and with a neighbour of it there."""
    crystal = bulk("Ar", "fcc", a=5.25, cubic=True) * (size, size, size)
    del crystal[0]
    hops = []
    for site in ([0, 2.625, 2.625], [2.625, 0, 2.625]):
        hops.append(crystal.copy())
        atom = int(np.argmin(np.linalg.norm(crystal.positions - site, axis=1)))
        hops[-1].positions[atom] = 0.0
    return crystal, hops


def end(atoms: Atoms, **changes: Any) -> dict[str, Any]:
    plain = {"symbols": atoms.get_chemical_symbols(), "positions": atoms.positions.tolist()}
    if atoms.pbc.any():
        plain |= {"cell": atoms.cell.tolist(), "pbc": atoms.pbc.tolist()}
    return plain | changes


def value_of(result: Done) -> NebValue:
    assert isinstance(result.value, NebValue)
    return result.value


def path_of(result: Done, number: int = 0) -> NebPath:
    return value_of(result).paths[number]


class OfBackend(Calculator):
    """A backend for ASE."""

    implemented_properties = ("energy", "forces")

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        graph = build_graph(structure_of(self.atoms), self._backend.card.cutoff)
        prediction = self._backend(graph)
        self.results = {"energy": float(prediction.energy[0]), "forces": prediction.forces}


def by_ase(
    atoms: Atoms, positions: Floats, calculators: list[Calculator], fmax: float, **band: Any
) -> tuple[Floats, Floats]:
    """(K, N, 3) Å and (K,) eV: the path that ASE's NEB makes of these images by FIRE."""
    images = []
    for own, calculator in zip(positions, calculators, strict=True):
        images.append(atoms.copy())
        images[-1].positions, images[-1].calc = own, calculator
    steps = band.pop("steps", 500)
    neb = NEB(images, k=0.1, method="improvedtangent", **band)
    FIRE(neb, logfile=None).run(fmax=fmax, steps=steps)
    energies = np.array([image.get_potential_energy() for image in images])
    return np.array([image.positions for image in images]), energies


def test_ammonia_inverts_as_by_ase(organic: Backend) -> None:
    result = done(
        organic, "neb", structure_of(AMMONIA), ends=[end(INVERTED)], path_fmax_eV_per_A=0.02
    )
    path = path_of(result)
    assert path.converged
    positions = np.array(path.positions_A)
    linear = np.linspace(positions[0], positions[-1], 9)
    calculators = [OfBackend(organic) for _ in linear]
    _, energies = by_ase(AMMONIA, linear, calculators, 0.02, climb=True)
    assert path.barrier_eV == pytest.approx(max(energies) - energies[0], abs=1e-3)
    assert path.barrier_eV == pytest.approx(0.25, abs=0.06)  # by experiment; GFN2-xTB has 0.20
    assert path.reverse_barrier_eV == pytest.approx(path.barrier_eV, abs=1e-4)
    assert path.reaction_energy_eV == pytest.approx(0, abs=1e-4)
    assert path.saddle == 4
    saddle = positions[4]
    normal = np.cross(saddle[2] - saddle[1], saddle[3] - saddle[1])
    height = (saddle[0] - saddle[1]) @ normal / np.linalg.norm(normal)
    assert height == pytest.approx(0, abs=0.01)  # it is flat
    assert value_of(result).evaluations == 7 * (path.steps + 1)
    assert np.diff(path.path_lengths_A).min() > 0


def test_a_vacancy_hops_as_by_ase(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    asked: dict[str, Any] = {"images": 3, "path_fmax_eV_per_A": 0.005}
    result = done(argon, "neb", structure_of(crystal), ends=[end(hops[0])], **asked)
    path = path_of(result)
    assert path.converged
    positions = np.array(path.positions_A)
    linear = np.linspace(positions[0], positions[-1], 5)
    options = {"epsilon": 0.01, "sigma": 3.4, "rc": 6.0, "smooth": True}
    calculators = [LennardJones(**options) for _ in linear]
    _, energies = by_ase(crystal, linear, calculators, 0.005, climb=True)
    assert path.barrier_eV == pytest.approx(max(energies) - energies[0], abs=1e-4)
    assert path.reverse_barrier_eV == pytest.approx(path.barrier_eV, abs=1e-5)
    assert 0.02 < path.barrier_eV < 0.1


def test_steps_are_those_of_ase(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    asked: dict[str, Any] = {"images": 3, "path_fmax_eV_per_A": 1e-4, "climb": False}
    held = structure_of(crystal)
    few = path_of(done(argon, "neb", held, ends=[end(hops[0])], path_steps=6, **asked))
    none = path_of(done(argon, "neb", held, ends=[end(hops[0])], path_steps=0, **asked))
    assert (few.reason, few.steps, none.steps) == ("steps", 6, 0)
    assert few.barrier_eV is None
    options = {"epsilon": 0.01, "sigma": 3.4, "rc": 6.0, "smooth": True}
    calculators = [LennardJones(**options) for _ in range(5)]
    first = np.array(none.positions_A)
    of_ase, energies = by_ase(crystal, first, calculators, 1e-4, steps=6, climb=False)
    assert np.array(few.positions_A) == pytest.approx(of_ase, abs=1e-8)
    assert few.energies_eV == pytest.approx(energies, abs=1e-8)


class Counting(PairBackend):
    """Keeps how many structures each batch had, and takes longer than what is around it."""

    def __init__(self, like: PairBackend) -> None:
        super().__init__(like.card)
        self.batches: list[int] = []

    def __call__(self, graph: Graph) -> Prediction:
        self.batches.append(len(graph.n_atoms))
        time.sleep(0.01)
        return super().__call__(graph)


def test_images_of_several_paths_share_batches(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    backend = Counting(argon)
    given = [structure_of(crystal), structure_of(crystal)]
    ends = [end(hop) for hop in hops]
    found = done_all(backend, "neb", given, ends=ends, images=3, path_fmax_eV_per_A=0.02)
    paths = [path for result in found for path in value_of(result).paths]
    assert [path.end for path in paths] == [0, 1, 0, 1]
    for path in paths:  # all neighbours of a vacancy are alike
        assert path.converged
        assert path.barrier_eV == pytest.approx(paths[0].barrier_eV, abs=1e-4)
    # Of four paths one batch runs, one is made ready and one fills: two paths share one.
    assert max(backend.batches) > 3


def test_images_of_all_paths_are_counted_on(argon: PairBackend) -> None:
    start, hops = vacancy()
    stages: list[Stage] = []
    asked = {"ends": [end(hop) for hop in hops], "images": 3, "path_steps": 2}
    course = Course(tell=stages.append)
    value = value_of(done(argon, "neb", structure_of(start), course=course, **asked))
    assert value.evaluations == 2 * 3 * (2 + 1)
    assert stages == [Stage("images", i) for i in range(1, value.evaluations + 1)]


def test_an_end_that_cannot_be_relaxed_is_named_once(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    held, on_one_spot = structure_of(crystal), hops[0].copy()
    on_one_spot.positions[1] = on_one_spot.positions[0]
    with pytest.raises(InvalidStructure, match=r"^ends\.0: atom 0"):
        done(argon, "neb", held, ends=[end(on_one_spot)], images=3)
    asked: dict[str, Any] = {"images": 3, "path_fmax_eV_per_A": 0.05}
    both = done(argon, "neb", held, ends=[end(hops[0]), end(crystal)], **asked)
    (doubt,) = both.warnings
    assert doubt.message.startswith("ends.1: there is no path: it comes to rest where")


def test_ends_are_brought_near_as_a_whole(organic: Backend) -> None:
    turned = INVERTED.copy()
    turned.rotate(70, (1, 2, 3))
    turned.translate((3, -1, 2))
    barriers = []
    for last in (INVERTED, turned):
        path = path_of(done(organic, "neb", structure_of(AMMONIA), ends=[end(last)]))
        assert path.path_lengths_A[-1] < 2.5
        barriers.append(path.barrier_eV)
    assert barriers[0] == pytest.approx(barriers[1], abs=2e-3)
    crystal, hops = vacancy()
    wrapped = hops[0].copy()
    wrapped.positions += wrapped.cell[0] - wrapped.cell[2]
    positions = np.array(interpolated(structure_of(crystal), structure_of(hops[0]), 1))
    assert np.abs(positions).max() < 11
    assert wrapped.positions.max() > 15


@pytest.mark.parametrize("fixed", [None, [3, 9, 20]])
def test_the_first_path_is_that_of_ase(fixed: list[int] | None) -> None:
    crystal, hops = vacancy()
    folded = molecule("C2H6")
    folded.set_dihedral(2, 0, 1, 5, 60, indices=[5, 6, 7])
    swapped = folded.copy()
    swapped.positions = folded.positions[[0, 1, 3, 4, 2, 5, 6, 7]]
    for first, last in ((crystal, hops[0]), (folded, swapped)):
        atoms = fixed if fixed is None or len(first) > max(fixed) else [0, 5]
        images = [first.copy() for _ in range(6)] + [last.copy()]
        for image in images:
            image.set_constraint(FixAtoms(atoms or []))
        band = NEB(images, method="improvedtangent")
        band.interpolate("idpp", mic=bool(first.pbc.any()), apply_constraint=False)
        found = interpolated(structure_of(first, fixed=atoms), structure_of(last), 5)
        assert found == pytest.approx(np.array([image.positions for image in images]), abs=1e-9)


def test_fixed_atoms_stay(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    moving = int(np.argmax(np.abs(crystal.positions - hops[0].positions).max(axis=1)))
    far = [i for i in range(len(crystal)) if crystal.get_distance(i, moving, mic=True) > 5.5]
    held = structure_of(crystal, fixed=far)
    path = path_of(done(argon, "neb", held, ends=[end(hops[0])], images=3, path_fmax_eV_per_A=0.02))
    assert path.converged
    assert (np.array(path.positions_A)[:, far] == crystal.positions[far]).all()
    with pytest.raises(
        InvalidStructure, match=f"atom {moving} is fixed, and 3.71 Å from its place"
    ):
        done(argon, "neb", structure_of(crystal, fixed=[moving]), ends=[end(hops[0])])


def test_forces_of_a_band_change_with_neither_place_nor_turn() -> None:
    rng = np.random.default_rng(3)
    positions, forces = rng.normal(size=(5, 4, 3)), rng.normal(size=(3, 4, 3))
    energies = np.array([0.0, 0.2, 0.5, 0.4, 0.1])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for climbs in (True, False):
        here = band_forces(positions, energies, forces, 0.1, climbs)
        there = band_forces(positions @ turn + 5.0, energies, forces @ turn, 0.1, climbs)
        assert there == pytest.approx(here @ turn, abs=1e-12)
    along = positions[2] - positions[1]  # no force but along the path, at an image on a slope
    uphill = band_forces(
        positions[:4], np.array([0.5, 0.4, 0.2, 0]), np.array([along] * 2), 0.1, False
    )
    step = np.linalg.norm(positions[2] - positions[1])
    pull = 0.1 * (np.linalg.norm(positions[3] - positions[2]) - step)
    assert uphill[1] == pytest.approx(pull * along / step, abs=1e-12)


def test_ends_that_cannot_be(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    start, hop = structure_of(crystal), hops[0]
    mixed = structure_of(Atoms("ArNe", [[0, 0, 0], [0, 0, 4]]))
    plain = {"symbols": ["Ne", "Ar"], "positions": [[0, 0, 0], [0, 0, 4.0]]}
    wide = (np.array(hop.cell) * 1.01).tolist()
    for given, stated, told in (
        (
            mixed,
            plain,
            r"ends.0.symbols: atom 0 is Ne, and Ar in the structure; bring the atoms into",
        ),
        (
            mixed,
            {**plain, "symbols": ["Ar", "Ar"]},
            r"ends.0.symbols: Ar2, and the structure is Ar1Ne1",
        ),
        (start, end(hop, cell=wide), r"ends.0.cell: vector 0 is .*; a path has one cell"),
        (start, end(hop, cell=wide[:2]), "expected 3 rows of 3 numbers"),
        (start, end(hop, pbc=[True, True, False]), r"ends.0.pbc: \[True, True, False\]"),
        (start, end(hop, charge=1), r"ends.0.charge: 1, and 0 in the structure"),
        (
            start,
            end(hop, multiplicity=3),
            r"ends.0.multiplicity: 3, and not stated in the structure",
        ),
        (start, end(hop, fixed=[2, 1]), r"ends.0.fixed: \[1, 2\], and \[\] in the structure"),
        (start, end(hop, positions=[[0, 0, 0]]), r"ends.0: positions: shape \(1, 3\)"),
        (start, end(hop, positions=[[0, 0, 0], [1]]), r"ends.0: "),
        (start, end(crystal), "ends.0: it comes to rest where the structure does"),
    ):
        with pytest.raises(InvalidStructure, match=told):
            done(argon, "neb", given, ends=[stated])


def test_an_end_that_falls_apart_is_told(argon: PairBackend) -> None:
    near, far = (structure_of(Atoms("Ar2", [[0, 0, 0], [0, 0, z]])) for z in (3.9, 14.0))
    ends = [{"symbols": ["Ar", "Ar"], "positions": far.positions.tolist()}]
    (warning,) = (
        w for w in done(argon, "neb", near, ends=ends).warnings if w.code == "separate_molecules"
    )
    assert warning.message.startswith(
        "ends.0: 2 parts are further apart than the model's cutoff (6 Å)"
    )


def test_ends_that_do_not_come_to_rest(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    crystal.rattle(0.1, seed=1)
    asked: dict[str, Any] = {"ends": [end(hops[0])], "max_steps": 1, "images": 3}
    with pytest.raises(NotConverged, match="the structure: the relaxation ended after 1 steps"):
        done(argon, "neb", structure_of(crystal), **asked)
    crystal, hops = vacancy()
    far = hops[1].copy()
    far.rattle(0.4, seed=1)
    asked |= {"max_steps": 2, "path_fmax_eV_per_A": 0.05}
    with pytest.raises(NotConverged, match=r"ends.0: the relaxation ended after 2 steps"):
        done(argon, "neb", structure_of(crystal), **asked | {"ends": [end(far)]})
    both = done(argon, "neb", structure_of(crystal), **asked | {"ends": [end(hops[0]), end(far)]})
    fine, lost = value_of(both).paths
    assert fine.converged
    assert lost.reason.startswith("stopped: ends.1: the relaxation ended")
    assert lost.barrier_eV is None
    assert not lost.positions_A
    assert [warning.code for warning in both.warnings] == ["path_not_converged"]


def test_paths_have_limits(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    asked: dict[str, Any] = {"ends": [end(hop) for hop in hops], "images": 3}
    with pytest.raises(StructureTooLarge, match="2 paths of 3 images take 1806 evaluations in 300"):
        done_all(argon, "neb", [structure_of(crystal)], most=1000, path_steps=300, **asked)
    (result,) = done_all(
        argon, "neb", [structure_of(crystal)], most=12, path_fmax_eV_per_A=1e-4, **asked
    )
    assert [path.steps for path in value_of(result).paths] == [1, 1]
    assert value_of(result).evaluations == 12
    assert "its energies are no barrier" in result.warnings[0].message


class Failing(PairBackend):
    """Has no numbers any more after a few batches."""

    left = 8

    def __call__(self, graph: Graph) -> Prediction:
        prediction = super().__call__(graph)
        self.left -= 1
        if self.left < 0:
            prediction.energy[:] = np.nan
        return prediction


def test_a_path_that_breaks_says_why(argon: PairBackend) -> None:
    crystal, hops = vacancy()
    asked: dict[str, Any] = {"ends": [end(hops[0])], "images": 3, "path_fmax_eV_per_A": 1e-9}
    result = done(Failing(argon.card), "neb", structure_of(crystal), **asked)
    path = path_of(result)
    assert path.reason.startswith("stopped: ")
    assert "finite" in path.reason
    assert path.barrier_eV is None
    assert path.steps > 0
    assert len(path.energies_eV) == 5


@pytest.mark.parametrize(
    ("energies", "code"),
    [
        ([0.0, 0.1, 0.2, 0.1, 0.0], None),
        ([0.0, 0.1, 0.2, 0.3, 0.4], "path_without_barrier"),
        ([0.0, 0.2, 0.1, 0.2, 0.0], "path_has_minimum"),
        ([0.0, 0.2, 0.199, 0.2, 0.0], None),
    ],
)
def test_shapes_of_paths_that_are_doubtful(energies: list[float], code: str | None) -> None:
    path = Path(np.zeros((5, 1, 3)), np.array(energies), 0.01, 3, True, "converged")
    found = [warning.code for warning in _doubts(0, (path, ()))]
    assert found == ([] if code is None else [code])
