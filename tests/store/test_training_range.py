"""What training data held, as a card states it."""

import pytest
from pydantic import ValidationError

from app.store.training_range import TrainingRange

OLD = {"most_atoms": 3, "closest": {"O-H": 0.9}, "farthest": {"O": 1.2}}


def test_cards_from_before_a_field_was_there_are_read() -> None:
    old = TrainingRange.model_validate(OLD)
    assert (old.periodic, old.charges, old.surroundings, old.strongest) == (None,) * 4


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("closest", {"O": 0.9}, "'O' is no pair of elements"),
        ("closest", {"O-Qq": 0.9}, "'O-Qq' is no pair of elements"),
        ("farthest", {"Qq": 0.9}, "'Qq' is no chemical symbol"),
        ("strongest", {"oxygen": 0.9}, "'oxygen' is no chemical symbol"),
        ("alone", ["Qq"], "'Qq' is no chemical symbol"),
        ("surroundings", {"CX3": (1.0, 1.1)}, "'CX3' is no kind of atom, such as CX3H1"),
        ("surroundings", {"QqX3H1": (1.0, 1.1)}, "'QqX3H1' is no kind of atom"),
    ],
)
def test_names_that_are_none_are_refused(field: str, value: object, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TrainingRange.model_validate({**OLD, field: value})
