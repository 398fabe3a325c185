"""Sizes, distances, kinds of atoms and forces of training data."""

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.store.training_range import TrainingRange
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.data.ranges import joined, training_range


def frame(
    numbers: list[int], positions: list[list[float]], force: float = 0.0, **more: object
) -> LabelledFrame:
    structure = Structure(np.array(numbers), np.array(positions), **more)  # type: ignore[arg-type]
    forces = np.full((len(numbers), 3), [force, 0.0, 0.0])
    return LabelledFrame(structure, 0.0, forces, None, "made.xyz", 0)


def water(bond: float, force: float = 0.0) -> LabelledFrame:
    return frame([8, 1, 1], [[0, 0, 0], [bond, 0, 0], [0, bond, 0]], force)


def test_the_range_of_two_frames_and_a_single_atom() -> None:
    frames = [
        frame([8, 1, 1], [[0, 0, 0], [1.0, 0, 0], [0, 1.2, 0]], force=2.0),
        frame([8, 1], [[0, 0, 0], [0, 0, 2.5]], force=np.nan),
        frame([8], [[0, 0, 0]]),
    ]
    found = training_range(build_dataset(frames, 4.0))
    assert found.most_atoms == 3
    assert found.closest == {"O-H": 1.0, "H-H": pytest.approx(1.562)}
    assert found.farthest == {"O": 2.5, "H": 2.5}
    assert found.strongest == {"O": 2.0, "H": 2.0}
    assert found.periodic is False
    assert found.charges == (0,)
    assert found.alone == ("O",)


def test_forces_that_nobody_knows_have_no_range() -> None:
    found = training_range(build_dataset([water(1.0, np.nan)], 4.0))
    assert found.strongest is None


def test_single_atoms_say_nothing_of_molecules() -> None:
    ion = frame([1], [[0, 0, 0]], charge=1)
    hydroxide = frame([8, 1], [[0, 0, 0], [0.97, 0, 0]], charge=-1)
    found = training_range(build_dataset([*[water(0.96)] * 2, *[hydroxide] * 2, ion], 4.0))
    assert found.charges == (-1, 0)
    assert found.alone == ("H",)
    assert set(found.surroundings or ()) == {"OX2H2", "OX1H1", "HX1H0"}


def test_whether_any_frame_is_periodic() -> None:
    crystal = frame([8], [[0, 0, 0]], cell=np.eye(3) * 3.0, pbc=np.ones(3, dtype=bool))
    both = build_dataset([water(1.0), crystal], 4.0)
    assert training_range(both).periodic is True
    assert training_range(both.take([0])).periodic is False


def test_kinds_of_atoms_and_how_long_their_bonds_are() -> None:
    found = training_range(build_dataset([water(0.95), water(1.0)], 4.0)).surroundings
    assert found is not None
    assert set(found) == {"OX2H2", "HX1H0"}
    assert found["OX2H2"] == pytest.approx((0.95 / 0.97, 1.0 / 0.97), abs=1e-3)


def test_kinds_are_left_out_where_many_were_seen_only_once() -> None:
    many = [water(0.95 + 0.001 * step) for step in range(30)]
    one_more = frame([8, 1], [[0, 0, 0], [0.97, 0, 0]])
    assert training_range(build_dataset([*many, one_more], 4.0)).surroundings is None
    twice = build_dataset([*many, one_more, one_more], 4.0)
    assert set(training_range(twice).surroundings or ()) == {"OX2H2", "HX1H0", "OX1H1"}


def test_of_two_data_sets_the_wider_range_counts() -> None:
    one = TrainingRange(
        most_atoms=3,
        closest={"O-H": 1.0},
        farthest={"O": 2.5},
        periodic=False,
        charges=(0,),
        alone=("O",),
        surroundings={"OX2H2": (0.9, 1.1)},
        strongest={"O": 3.0},
        oddities={"free": 1, "unsaturated": 0, "shared": 0},
    )
    other = TrainingRange(
        most_atoms=2,
        closest={"O-H": 0.9, "O-O": 1.4},
        farthest={"H": 1.0},
        periodic=True,
        charges=(-1, 0),
        alone=("H",),
        surroundings={"OX2H2": (1.0, 1.2), "OX1H1": (0.9, 1.0)},
        strongest={"O": 2.0, "H": 1.0},
        oddities={"free": 0, "unsaturated": 2, "shared": 0},
    )
    both = joined(one, other)
    assert both == TrainingRange(
        most_atoms=3,
        closest={"O-H": 0.9, "O-O": 1.4},
        farthest={"O": 2.5, "H": 1.0},
        periodic=True,
        charges=(-1, 0),
        alone=("H", "O"),
        surroundings={"OX2H2": (0.9, 1.2), "OX1H1": (0.9, 1.0)},
        strongest={"O": 3.0, "H": 1.0},
        oddities={"free": 1, "unsaturated": 2, "shared": 0},
    )
    assert joined(other, one) == both


def test_what_is_not_known_of_one_is_not_known_of_both() -> None:
    old = TrainingRange(most_atoms=3, closest={}, farthest={})
    new = training_range(build_dataset([water(1.0), water(1.0)], 4.0))
    assert new.surroundings is not None
    both = joined(old, new)
    unknown = (both.periodic, both.charges, both.alone, both.surroundings, both.strongest)
    assert unknown == (None,) * 5
