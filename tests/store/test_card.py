"""What a card says of a model, and refuses on its behalf."""

import numpy as np
import pytest
from pydantic import ValidationError

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.errors import UnsupportedCharge, UnsupportedElement
from app.store.card import ModelCard, member_files

HYDROGEN = {"numbers": [1], "positions": [[0.0, 0.0, 0.0]]}


@pytest.fixture
def card(pair_card) -> ModelCard:
    return pair_card.model_copy(update={"name": "lj", "version": 3})


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a/b", ".hidden", "a@1"])
def test_names_are_safe_folders(card, name):
    with pytest.raises(ValidationError, match="String should match pattern"):
        ModelCard.model_validate({**card.model_dump(), "name": name})


def test_species_follow_the_order_of_the_elements(card):
    assert card.species(card.numbers).tolist() == list(range(len(card.elements)))
    referenced = card.model_copy(update={"atomic_energies": {"C": -38.0}})
    row = Structure(card.numbers, np.arange(len(card.numbers))[:, None] * [9.0, 0.0, 0.0])
    energies = referenced.references(build_graph(row, 3.0))
    assert dict(zip(card.elements, energies.tolist(), strict=True)) == {
        **dict.fromkeys(card.elements, 0.0),
        "C": -38.0,
    }


def test_a_lone_ion_has_an_energy_of_its_own_and_others_are_refused(card):
    charged = card.model_copy(
        update={"takes_charge": True, "lone_ions": {"H": {1: 0.5}}, "atomic_energies": {"H": -13.0}}
    )
    atoms = {charge: Structure([1], np.zeros((1, 3)), charge=charge) for charge in (0, 1, -1)}
    graphs = [build_graph(atoms[charge], 3.0) for charge in (1, 0)]
    assert charged.references(collate(graphs)).tolist() == [0.5, -13.0]
    pair = Structure([1, 1], [[0.0, 0, 0], [0.0, 0, 1]], charge=1)
    assert charged.references(build_graph(pair, 3.0)).tolist() == [-13.0, -13.0]
    known = charged.model_copy(update={"charge_energies": {1: 9.0}})
    together = collate([build_graph(s, 3.0) for s in (atoms[1], pair, atoms[0], atoms[-1])])
    assert known.references(together).tolist() == [0.5, -8.5, -8.5, -13.0, -13.0]
    charged.check(atoms[1])
    with pytest.raises(
        UnsupportedCharge, match=r"atom H of charge -1: .* the lone ions H \+1 only"
    ):
        charged.check(atoms[-1])


def test_a_model_that_takes_charges_refuses_open_shells_all_the_same(card):
    charged = card.model_copy(update={"takes_charge": True})
    charged.check(Structure([1, 1], [[0.0, 0, 0], [0.0, 0, 1]], charge=2))
    with pytest.raises(UnsupportedCharge, match="multiplicity 3"):
        charged.check(Structure([1, 1], [[0.0, 0, 0], [0.0, 0, 1]], multiplicity=3))


def test_an_unknown_element_is_named_with_those_known(card):
    with pytest.raises(
        UnsupportedElement,
        match="atom 1 is Au, which model 'lj' was not trained on; it knows Ar, Ne, H",
    ):
        card.check(Structure([1, 79], [[0.0, 0, 0], [0.0, 0, 2]]))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"charge": 1}, "charge 1: model 'lj' knows neutral structures only; send charge 0"),
        (
            {"multiplicity": 3},
            "multiplicity 3: model 'lj' knows closed shells only; send 1 or none",
        ),
    ],
)
def test_charge_and_spin_are_not_ignored(card, state, message):
    structure = Structure(**HYDROGEN, **state)
    with pytest.raises(UnsupportedCharge, match=message):
        card.check(structure)
    card.check(Structure(**HYDROGEN, charge=0, multiplicity=1))


def test_each_member_of_a_committee_has_files_of_its_own(card):
    assert member_files("model.onnx", 3) == ["model.onnx", "model-1.onnx", "model-2.onnx"]
    committee = card.model_copy(update={"backend": "onnx", "members": 2, "energies_alone": True})
    assert committee.artifacts == [
        "model.onnx",
        "model-1.onnx",
        "energies.onnx",
        "energies-1.onnx",
    ]
    assert card.artifacts == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": ("Ar", "Ne", "Ar")}, "Ar is given twice"),
        ({"elements": ("Ar", "Xx")}, "'Xx' is no chemical symbol"),
        ({"elements": ("X",)}, "'X' is no chemical symbol"),
        ({"elements": ("Ar",) * 10_000}, "at most 119 items"),
        ({"cutoff": 1e6}, "less than or equal to 30"),
        ({"cutoff": float("nan")}, "finite number"),
        ({"receptive_field": 1.0}, "receptive_field 1.0 is shorter than cutoff 6.0"),
        ({"atomic_energies": {"Ar": 1e308}}, "less than or equal to 10000000"),
        ({"atomic_energies": {"Ar": float("inf")}}, "finite number"),
        ({"atomic_energies": {"U": 0.0}}, "atomic_energies has 'U', which is none of the elements"),
        ({"pair": {"Ar": {"epsilon": 1e308, "sigma": 3.4}}}, "less than or equal to 1000"),
        ({"version": 10**26}, "less than or equal to 999999999"),
        ({"description": "x" * 20_000}, "at most 10000 characters"),
        ({"files": {"model.onnx": "abc"}}, "should match pattern"),
    ],
)
def test_what_is_absurd_is_refused(card, changes, message):
    with pytest.raises(ValidationError, match=message):
        ModelCard.model_validate({**card.model_dump(), **changes})


def test_a_copy_knows_its_own_elements(card):
    assert card.species(np.array([18])).tolist() == [0]
    other = card.model_copy(update={"elements": ("H", "Ar"), "pair": {}})
    assert other.species(np.array([18])).tolist() == [1]
