import numpy as np
import pytest

from app.errors import InvalidStructure
from app.formats.atom_states import multiplicity_of, sum_of_results, total_charge


def test_charges_sum_up_within_their_rounding():
    assert total_charge(np.array([0.333, 0.333, 0.333])) == 1
    assert total_charge(np.array([-1.0, 0.0])) == -1
    with pytest.raises(InvalidStructure, match=r"their sum is 0\.5, no whole number"):
        total_charge(np.array([0.25, 0.25]))


def test_results_that_do_not_sum_up_say_nothing():
    assert sum_of_results(np.array([0.6, 0.401])) == 1
    assert sum_of_results(np.array([0.25, 0.25])) is None
    assert sum_of_results(np.array([np.inf, -np.inf])) is None


def test_moments_make_a_multiplicity():
    assert multiplicity_of(np.zeros(3)) is None
    assert multiplicity_of(np.array([1.0, 1.0])) == 3
    assert multiplicity_of(np.array([-2.0, 1.0])) == 2
    for moments in (np.array([1.0, -1.0]), np.array([1.3]), np.eye(3)):
        with pytest.raises(InvalidStructure):
            multiplicity_of(moments)
