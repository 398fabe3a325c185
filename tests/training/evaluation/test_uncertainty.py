"""A committee's standard deviations beside its errors."""

from dataclasses import replace

import numpy as np
import pytest

from app.training.evaluation.report import report
from app.training.evaluation.uncertainty import reliability
from tests.training.evaluation.made import FRAMES, PREDICTED, committee


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_uncertainties_of_normal_errors(factor):
    found = report(*committee(4000, factor)).uncertainty
    assert found.energy.error_over_std == pytest.approx(factor, rel=0.1)
    assert found.forces.error_over_std == pytest.approx(factor, rel=0.1)
    assert 0.3 < found.energy.spearman < found.forces.spearman < 1
    if factor == 1:
        assert found.energy.within_std == pytest.approx(0.68, abs=0.02)
        assert found.forces.within_std == pytest.approx(0.61, abs=0.02)


def test_atoms_without_a_label_do_not_count_for_the_uncertainty():
    predicted = replace(PREDICTED, forces_std=np.arange(1.0, 7.0))
    assert report(predicted, FRAMES).uncertainty.forces.count == 4


def test_a_constant_uncertainty_has_no_rank_correlation():
    found = reliability(np.array([0.1, -0.2, 0.3]), np.zeros(3))
    assert (found.spearman, found.error_over_std, found.within_std) == (None, None, 0.0)
