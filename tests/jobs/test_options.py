"""What a job asks, kept in its row and read again."""

from typing import Any

import pytest

from app.jobs.options import request_of, stored
from app.protocol.request import PredictRequest
from app.tasks import TASKS, TaskCall
from tests.jobs.stores import new_job

STATED: dict[str, dict[str, Any]] = {
    "energies-of": {"difference": "strain"},
    "scan": {"atoms": [0, 1], "range_A": [1.0, 1.5]},
    "neb": {"ends": [{"symbols": ["Ar"], "positions": [[0, 0, 0]]}]},
}
STATE = {
    "replica": 0,
    "random_seed": 1,
    "temperature_K": 60.0,
    "step": 10,
    "time_fs": 5.0,
    "numbers": [18],
    "charge": 0,
    "positions_A": [[0.0, 0.0, 0.0]],
    "velocities_A_per_fs": [[0.0, 0.0, 0.0]],
}


@pytest.mark.parametrize(
    ("task", "options"),
    [
        *((name, STATED.get(name, {})) for name in TASKS),
        ("md", {"ensemble": "nve", "steps": 10}),
        ("md", {"restart": [STATE], "steps": 10}),
        ("md", {"ensemble": "npt", "pressure_GPa": 0.1}),
    ],
)
def test_a_task_asks_the_same_when_it_is_read_again(task: str, options: dict[str, Any]) -> None:
    """Also which of its options were stated."""
    asked = TASKS[task].options.model_validate(options, strict=False)
    request = PredictRequest(entries=[], model="pairs@1", task=TaskCall(TASKS[task], asked))
    again = request_of(new_job(options=stored(request)), []).task
    assert again is not None
    assert again.options == asked
    assert again.options.model_fields_set == asked.model_fields_set
