from dataclasses import replace

import numpy as np
import pytest

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graphs
from app.atoms.prediction import committee, from_atoms, split
from app.atoms.structure import Structure

GAS = Structure(np.array([1, 2]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]))
BOX = Structure(np.array([3]), np.zeros((1, 3)), np.diag([2.0, 4.0, 5.0]), np.True_)
SLAB = replace(BOX, pbc=np.array([True, True, False]))


@pytest.fixture
def graph() -> Graph:
    return build_graphs([GAS, BOX, SLAB], 3.0)


@pytest.fixture
def prediction(graph):
    virials = np.arange(36.0).reshape(4, 3, 3)
    return from_atoms(graph, np.array([1.0, 2.0, 3.0, 4.0]), np.arange(12.0).reshape(4, 3), virials)


def test_energies_are_summed_by_structure(prediction):
    np.testing.assert_array_equal(prediction.energy, [3.0, 3.0, 4.0])


def test_stress_is_the_symmetric_virial_over_the_volume(prediction):
    expected = np.array([[18, 20, 22], [20, 22, 24], [22, 24, 26]]) / 40.0
    np.testing.assert_allclose(prediction.stress[1], expected)
    assert np.isnan(prediction.stress[[0, 2]]).all()


def test_sums_keep_the_digits_of_large_totals(graph):
    energies = np.array([1e8, 1e-7, 1.0, 1.0], dtype=np.float64)
    prediction = from_atoms(
        graph, energies, np.zeros((4, 3), np.float32), np.zeros((4, 3, 3), np.float32)
    )
    assert prediction.energy[0] == 1e8 + 1e-7
    assert {a.dtype for a in (prediction.energy, prediction.forces, prediction.stress)} == {
        np.dtype(np.float64)
    }


def test_split_hands_back_each_structure(prediction, graph):
    gas, box, slab = split(prediction, graph)
    assert (gas.energy, box.energy, slab.energy) == (3.0, 3.0, 4.0)
    np.testing.assert_array_equal(gas.forces, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(gas.energies, [1, 2])
    np.testing.assert_array_equal(slab.forces, [[9, 10, 11]])
    assert gas.stress is None
    assert slab.stress is None
    np.testing.assert_array_equal(box.stress, prediction.stress[1])


def test_a_committee_answers_with_its_mean_and_spread(prediction, graph):
    other = replace(
        prediction,
        energy=prediction.energy + np.array([0.0, 2.0, 4.0]),
        forces=prediction.forces + np.array([[0, 0, 0], [6, 0, 0], [0, 6, 8], [0, 0, 0]]),
        energies=prediction.energies + 1,
        stress=prediction.stress + 1,
    )
    mean = committee([prediction, other])
    np.testing.assert_array_equal(mean.energy, [3.0, 4.0, 6.0])
    np.testing.assert_array_equal(mean.energies, [1.5, 2.5, 3.5, 4.5])
    np.testing.assert_array_equal(mean.forces[2], [6, 10, 12])
    np.testing.assert_array_equal(mean.stress[1], prediction.stress[1] + 0.5)
    np.testing.assert_array_equal(mean.energy_std, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(mean.forces_std, [0.0, 3.0, 5.0, 0.0])
    gas, box, _ = split(mean, graph)
    np.testing.assert_array_equal(gas.forces_std, [0.0, 3.0])
    assert (gas.energy_std, box.energy_std) == (0.0, 1.0)


def test_one_model_alone_says_nothing_of_its_uncertainty(prediction, graph):
    gas, *_ = split(committee([prediction]), graph)
    assert gas.energy == 3.0
    assert gas.energy_std is None
    assert gas.forces_std is None


@pytest.mark.parametrize("field", ["energy", "forces", "stress", "energies"])
def test_is_finite_looks_at_every_number(prediction, graph, field):
    box = split(prediction, graph)[1]
    assert box.is_finite
    bad = np.nan if field == "energy" else np.full_like(getattr(box, field), np.inf)
    assert not replace(box, **{field: bad}).is_finite
