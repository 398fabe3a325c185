"""The soak test, for seconds instead of minutes, and without looking at times."""

import math

import pytest

from tests.paths import MODEL_STORE
from tests.soak.plan import Plan
from tests.soak.trial import run


@pytest.mark.slow
def test_misbehaved_clients_cost_the_others_nothing() -> None:
    plan = Plan(
        models=("lennard-jones",),
        seconds=4.0,
        interval=0.5,
        factor=math.inf,
        growth=60.0,
        creep=60.0,
        threads=1,
    )
    result = run(MODEL_STORE, plan)
    assert [str(check) for check in result.checks if not check.holds] == []
    assert len(result.mixed.sent) > len(result.alone.sent), "somebody misbehaved"
