import io

import ase.io
import numpy as np
import pytest
from ase import Atoms

from app.formats.extxyz import parse
from app.formats.masses import unusual_masses
from app.formats.registry import read


@pytest.mark.parametrize(
    ("masses", "atoms"),
    [
        (([15.999, 1.008, 1.008]), None),
        (([16.0, 1.0, 1.00783]), None),
        (([15.995, 1.01, 1.0079]), None),
        (([15.999, 2.014, 1.008]), "atoms 1:"),
        (([17.999, 2.014, 3.016]), "atoms 0, 1, 2:"),
        (([np.nan, 1.008, 0.0]), "atoms 0, 2:"),
    ],
)
def test_masses_that_are_not_the_standard_ones_are_told(masses, atoms):
    warnings = unusual_masses(np.array([8, 1, 1]), np.array(masses))
    assert [each.message.split(" computed")[0] for each in warnings] == ([atoms] if atoms else [])


@pytest.mark.parametrize("column", ["masses:R:1", "mass:R:1", "Mass:R:1"])
@pytest.mark.parametrize(("mass", "codes"), [("2.014", ["isotope_ignored"]), ("1.008", [])])
def test_masses_of_a_column(column, mass, codes):
    comment = f"Properties=species:S:1:pos:R:3:{column}"
    (frame,) = parse(f"2\n{comment}\nH 0 0 0 1.008\nH 0 0 0.74 {mass}\n")
    assert [warning.code for warning in frame.warnings] == codes
    assert all("atoms 1:" in warning.message for warning in frame.warnings)


@pytest.mark.parametrize(("masses", "codes"), [([1.008, 2.014], ["isotope_ignored"]), (None, [])])
def test_masses_of_a_trajectory(masses, codes):
    data = io.BytesIO()
    ase.io.write(data, Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], masses=masses), format="traj")
    (frame,) = read(data.getvalue(), "h2.traj")
    assert [warning.code for warning in frame.warnings] == codes
