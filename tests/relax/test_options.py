"""What a relaxation may be asked for."""

import pytest
from pydantic import ValidationError

from app.relax.options import GPA, MOST_PRESSURE, RelaxOptions


@pytest.mark.parametrize(
    ("cell", "freedom"), [(True, "full"), ("false", "fixed"), ("lengths", "lengths")]
)
def test_a_cell_may_be_true_or_false(cell: object, freedom: str) -> None:
    assert RelaxOptions.model_validate({"cell": cell}).cell == freedom


def test_a_pressure_in_other_units_is_told() -> None:
    assert RelaxOptions(pressure=-MOST_PRESSURE).pressure == -MOST_PRESSURE
    assert pytest.approx(0.00624, abs=1e-5) == GPA
    with pytest.raises(ValidationError, match=r"10 eV/Å³ is 1\.6e\+03 GPa; at most 3\.2 eV/Å³"):
        RelaxOptions(pressure=10.0)


@pytest.mark.parametrize(
    "options",
    [{"fmax": 0.0}, {"fmax": float("nan")}, {"steps": -1}, {"fixed_axes": ["d"]}, {"colour": 1}],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RelaxOptions.model_validate(options)
