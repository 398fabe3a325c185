"""The table of what is predicted, against the types that hold it."""

from dataclasses import fields

import pytest

from app.atoms.prediction import Prediction, StructurePrediction
from app.atoms.properties import ANSWERED, DEFAULT, NAMES, STORED, TABLE, answered


@pytest.mark.parametrize("kind", [Prediction, StructurePrediction])
def test_the_stored_rows_are_the_fields(kind: type) -> None:
    assert {row.name for row in STORED} == {field.name for field in fields(kind)}


@pytest.mark.parametrize("kind", [Prediction, StructurePrediction])
def test_the_others_follow_from_them(kind: type) -> None:
    assert all(hasattr(kind, row.name) for row in TABLE if not row.pieces)


def test_what_can_be_asked_for_is_answered() -> None:
    assert [row.name for row in ANSWERED if row.beside is None] == list(NAMES)
    assert set(DEFAULT) < set(NAMES)


def test_an_uncertainty_goes_beside_its_property() -> None:
    assert [row.name for row in answered(("forces",))] == ["forces", "forces_std"]
    assert [row.name for row in answered(("energies",))] == ["energies"]
