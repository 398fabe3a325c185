"""What docs/units.md says is what the code does."""

import re

import pytest
from ase import units

from app.atoms import neighbors, structure
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "units.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| `([A-Z_]+)` \| (\S+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "value"), LIMITS)
def test_limits_have_their_values(name, value):
    constant = getattr(neighbors, name, None) or getattr(structure, name)
    assert str(constant) == value


def test_every_limit_of_a_structure_is_there():
    constants = {name for name in vars(structure) if name.isupper()} | {"MAX_EDGES"}
    assert {name for name, _ in LIMITS} == constants


def test_gigapascals():
    (factor,) = re.findall(r"1 eV/Å³ = (\S+) GPa", PAGE)
    assert float(factor) == pytest.approx(1 / units.GPa, rel=1e-6)


def test_the_tests_that_are_named_exist():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 5
    assert {name for name in named if f"def {name}(" not in sources} == set()
