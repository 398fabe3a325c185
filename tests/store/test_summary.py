"""A card in sentences."""

import pytest
from ase.data import chemical_symbols

from app.store.card import ModelCard
from app.store.certificate import Calibration, Uncertainty
from app.store.store import ModelStore
from app.store.summary import summary
from app.store.training_range import TrainingRange
from tests.paths import MODEL_STORE

RANGE = TrainingRange(
    most_atoms=32, closest={}, farthest={}, periodic=False, charges=(-1, 0, 1), surroundings={}
)

AGREES = Calibration(count=10, spearman=0.5, error_over_std=1.0, within_std=0.7)
UNCERTAIN = Uncertainty(energy=AGREES, forces=AGREES, false_alarms=0.012)


@pytest.fixture
def card() -> ModelCard:
    """The bundled model, as if it knew four elements and no charges."""
    bundled = ModelStore(MODEL_STORE).load("organic-xtb@3").card
    errors = {"frames": 1250, "energy_per_atom_mae": 4.5153, "forces_mae": 71.64}
    return bundled.model_copy(
        update={
            "elements": ("H", "C", "N", "O"),
            "takes_charge": False,
            "lone_ions": {},
            "charge_energies": {},
            "trained_on": RANGE,
            "uncertainty": None,
            "metrics": {"test": errors},
        }
    )


def test_elements_charges_sizes_errors_and_limits(card: ModelCard) -> None:
    text = "\n".join(summary(card))
    for told in (
        "It knows hydrogen, carbon, nitrogen and oxygen, and refuses structures with any other",
        "charges and open shells are refused",
        "It was trained on molecules of up to 32 atoms.",
        "Total charges in its training data: -1, 0 and +1.",
        "An atom feels others up to 5 Å away, and nothing beyond.",
        "On 1250 structures never seen in training, it is off on average by 4.52 meV an atom in the "
        "energy and 71.6 meV/Å in the components of forces.",
        *card.limitations,
    ):
        assert told in text


def test_errors_of_training_data_are_said_to_be_such(card: ModelCard) -> None:
    errors = {"frames": 1000, "energy_per_atom_mae": 12.0, "forces_mae": 40.0}
    told = summary(card.model_copy(update={"metrics": {"sample": errors}, "closed_shell": False}))
    assert (
        "On 1000 structures from the data set that it was trained on, it is off on average by 12 meV an atom"
        in (" ".join(told))
    )
    assert any("odd numbers of electrons are answered" in sentence for sentence in told)


def test_what_a_card_does_not_know_is_said(card: ModelCard, pair_card: ModelCard) -> None:
    old = summary(card.model_copy(update={"trained_on": None, "metrics": {}}))
    assert (
        "Its card does not say what it was trained on: it cannot warn of what it never saw." in old
    )
    assert not any("off on average" in sentence for sentence in old)
    assert "It is a formula and was not trained on anything." in summary(pair_card)


def test_metrics_of_any_shape_are_borne(card: ModelCard) -> None:
    for metrics in (
        {"test": None},
        {"test": {"frames": "many"}},
        {"test": {"forces_mae": "small"}},
    ):
        assert not any(
            "off on" in each for each in summary(card.model_copy(update={"metrics": metrics}))
        )


def test_many_elements_message_passing_and_crystals(card: ModelCard) -> None:
    wide = card.model_copy(
        update={
            "elements": tuple(chemical_symbols[1:90]),
            "receptive_field": 15.0,
            "takes_charge": True,
            "lone_ions": {"Li": {1: -3.0}, "F": {-1: -5.0}},
            "uncertainty": UNCERTAIN,
            "trained_on": RANGE.model_copy(update={"periodic": True, "charges": None}),
        }
    )
    text = "\n".join(summary(wide))
    assert "It knows 89 elements: H He Li" in text
    assert "takes the total charge" in text
    assert "Single ions in open space that it knows: Li +1 and F -1." in text
    assert "1.2 % are warned of without need" in text
    assert "structures, periodic ones among them, of up to 32 atoms" in text
    assert "up to 15 Å through those between them" in text
