import numpy as np
import pytest
from ase.geometry import cellpar_to_cell

from app.errors import InvalidFormat
from app.formats.cell_parameters import cell_from


@pytest.mark.parametrize(
    "parameters", [[3, 4, 5, 90, 90, 90], [3, 4, 5, 80, 95, 120], [5, 5, 5, 60, 60, 60]]
)
def test_cells_are_ase_s(parameters):
    values = np.array(parameters, dtype=float)
    np.testing.assert_allclose(cell_from(values, "line 1"), cellpar_to_cell(values), atol=1e-14)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([3, 4, -5, 90, 90, 90], "line 1: edges of [3.0, 4.0, -5.0] Å are none of a cell"),
        ([3, 4, np.nan, 90, 90, 90], "edges of [3.0, 4.0, nan]"),
        ([3, 4, 5, 90, 90, 180], "angles of [90.0, 90.0, 180.0]° are none of a cell"),
        ([3, 4, 5, 30, 30, 90], "angles of [30.0, 30.0, 90.0]°"),
    ],
)
def test_what_is_no_cell_is_refused(parameters, message):
    with pytest.raises(InvalidFormat) as caught:
        cell_from(np.array(parameters, dtype=float), "line 1")
    assert message in str(caught.value)
