"""Statistics of the training frames: reference energies, scale of the forces."""

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.errors import InvalidConfig, InvalidData
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.data.references import (
    composition,
    fit_statistics,
    least_squares,
    reference_energies,
)
from tests.training.labelled import molecules

ELEMENTS = ("Ne", "Ar")


def frame(numbers, energy, forces=0.0, charge=0):
    n = len(numbers)
    structure = Structure(np.array(numbers), 3.0 * np.arange(3 * n).reshape(n, 3), charge=charge)
    return LabelledFrame(structure, energy, np.full((n, 3), forces), None, "made.xyz", 0)


def dataset(frames):
    return build_dataset(frames, 4.5, "float64")


def test_compositions_are_counts_of_the_elements():
    np.testing.assert_array_equal(
        composition(dataset([frame([18, 10, 18], 0)]), ELEMENTS), [[1, 2]]
    )


def test_least_squares_finds_the_energies_of_atoms():
    frames = [
        frame([10] * a + [18] * b, -3.5 * a - 7.25 * b) for a, b in ((1, 0), (1, 2), (3, 1), (2, 2))
    ]
    assert least_squares(dataset(frames), ELEMENTS) == pytest.approx({"Ne": -3.5, "Ar": -7.25})


def test_least_squares_averages_what_compositions_do_not_explain():
    frames = [frame([10], -1.0), frame([10], -3.0), frame([18], -5.0)]
    assert least_squares(dataset(frames), ELEMENTS) == pytest.approx({"Ne": -2.0, "Ar": -5.0})


def test_energies_that_are_fixed_leave_the_rest_to_the_others(caplog):
    frames = [frame([10, 18], -12.0), frame([10, 10, 18, 18], -24.0)]
    assert least_squares(dataset(frames), ELEMENTS, {"Ne": -3.0, "Kr": 8.0}) == pytest.approx(
        {"Ne": -3.0, "Ar": -9.0}
    )
    assert least_squares(dataset(frames), ELEMENTS, {"Ne": -3.0, "Ar": 1.0}) == {
        "Ne": -3.0,
        "Ar": 1.0,
    }
    assert not caplog.text


def test_one_composition_gives_the_least_norm_and_says_so(caplog):
    found = least_squares(dataset([frame([10, 18, 18], -15.0)] * 3), ELEMENTS)
    assert found == pytest.approx({"Ne": -3.0, "Ar": -6.0})
    assert "2 elements, but only 1 independent compositions" in caplog.text


def test_given_references_are_taken():
    statistics = fit_statistics(
        dataset(molecules(4)), ELEMENTS, {"Ne": -1.0, "Ar": -2.0, "Kr": -3.0}
    )
    assert statistics.atomic_energies == {"Ne": -1.0, "Ar": -2.0}


def test_given_references_must_be_complete():
    with pytest.raises(InvalidConfig, match="references: no energy for Ar; the data holds Ne, Ar"):
        fit_statistics(dataset(molecules(4)), ELEMENTS, {"Ne": -1.0})


def test_the_scale_is_the_root_mean_square_of_force_components():
    frames = [frame([10], -1.0, 1.0), frame([18, 18, 18], -5.0, -3.0)]
    statistics = fit_statistics(dataset(frames), ELEMENTS, "least_squares")
    assert statistics.force_scale == pytest.approx(np.sqrt((3 * 1 + 9 * 9) / 12))


def test_neighbours_are_averaged_over_atoms():
    pair = Structure(np.array([18, 18]), np.array([[0.0, 0, 0], [3, 0, 0]]))
    both = dataset(
        [frame([10], 0.0), LabelledFrame(pair, 0.0, np.zeros((2, 3)), None, "made.xyz", 1)]
    )
    assert fit_statistics(both, ELEMENTS, "least_squares").average_neighbors == pytest.approx(2 / 3)


def test_lone_atoms_have_a_scale_too():
    statistics = fit_statistics(dataset([frame([10], -1.0)]), ("Ne",), "least_squares")
    assert statistics.force_scale == statistics.average_neighbors == 1.0


def test_single_atoms_and_ions_are_references():
    frames = dataset(
        [frame([10], -13.0), frame([18], -70.0), frame([10], 0.5, charge=1), frame([10, 18], -90.0)]
    )
    statistics = fit_statistics(frames, ELEMENTS, "isolated")
    assert statistics.atomic_energies == {"Ne": -13.0, "Ar": -70.0}
    assert statistics.lone_ions == {"Ne": {1: 0.5}}
    rest = frames.energy - reference_energies(frames, statistics)
    assert rest.tolist() == [0.0, 0.0, 0.0, -7.0]
    with pytest.raises(InvalidData, match="frame 0: a single atom Ar of charge -2"):
        reference_energies(dataset([frame([18], -60.0, charge=-2)]), statistics)
    with pytest.raises(InvalidConfig, match="no energy for Kr"):
        fit_statistics(frames, (*ELEMENTS, "Kr"), "isolated")


def test_charges_have_energies_of_their_own():
    pairs = [frame([10, 18], -7.0 * n, charge=q) for n, q in ((1, 0), (1, 0))]
    chains = [
        frame([10] * n, -3.0 * n + {0: 0.0, 1: 11.0, -1: -7.0}[q], charge=q)
        for n in (2, 3, 5)
        for q in (0, 1, -1)
    ]
    alone = [frame([10], -1.0), frame([18], -2.0), frame([10], 20.0, charge=1)]
    frames = dataset([*pairs, *chains, *alone])
    statistics = fit_statistics(frames, ELEMENTS, "isolated")
    assert statistics.charge_energies == pytest.approx({-1: -7.0, 1: 11.0})
    rest = frames.energy - reference_energies(frames, statistics)
    np.testing.assert_allclose(rest[2:5], [-4.0] * 3)
    assert rest[-3:].tolist() == [0.0, 0.0, 0.0]
