"""What a structure has that the training data never held."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule

from app.atoms.decomposition import Cutter, Piece
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.prediction import StructurePrediction
from app.atoms.regions import Region
from app.atoms.structure import Structure
from app.backends.domain import AFTER, BEFORE, Domain, Known, check_on_ood, doubts_of_answer
from app.backends.geometry import compared
from app.errors import InvalidRequest, OutOfDomain
from app.formats.ase_atoms import from_ase
from app.store.card import ModelCard
from app.store.certificate import Calibration, Uncertainty
from app.store.training_range import TrainingRange

RANGE = TrainingRange(
    most_atoms=3,
    closest={"O-H": 0.9, "H-H": 1.4},
    farthest={"O": 1.2, "H": 1.2},
)
FULL = RANGE.model_copy(
    update={
        "periodic": False,
        "charges": (-1, 0),
        "alone": ("O",),
        "surroundings": {"OX2H2": (0.95, 1.05), "HX1H0": (0.95, 1.05)},
        "strongest": {"O": 4.0, "H": 2.0},
    }
)


@pytest.fixture
def card(pair_card: ModelCard) -> ModelCard:
    return pair_card.model_copy(update={"trained_on": RANGE})


@pytest.fixture
def full(pair_card: ModelCard) -> ModelCard:
    return pair_card.model_copy(update={"trained_on": FULL})


def water(bond: float, **more: object) -> Structure:
    angle = np.deg2rad(104.5)
    ends = [[0, 0, 0], [bond, 0, 0], [bond * np.cos(angle), bond * np.sin(angle), 0]]
    return Structure(np.array([8, 1, 1]), np.array(ends), **more)  # type: ignore[arg-type]


def still(structure: Structure) -> StructurePrediction:
    """A prediction without forces to speak of."""
    count = len(structure)
    return StructurePrediction(0.0, np.zeros(count), np.zeros((count, 3)))


def told(card: ModelCard, structure: Structure) -> str:
    domain = Domain(Known(card), structure)
    domain.look(Piece.whole(build_graph(structure, card.cutoff)))
    warnings = domain.doubts(still(structure))
    assert {warning.code for warning in warnings} <= {"out_of_domain"}
    return "\n".join(warning.message for warning in warnings)


def test_within_the_range_nothing_is_said(card: ModelCard, pair_card: ModelCard) -> None:
    assert told(card, water(0.96)) == ""
    assert told(pair_card, water(0.5)) == ""
    assert told(card, Structure(np.array([8]), np.zeros((1, 3)))) == ""


def test_nor_where_all_is_known(full: ModelCard) -> None:
    assert told(full, water(0.96, charge=-1)) == ""


def test_atoms_that_are_too_close(card: ModelCard) -> None:
    message = told(card, water(0.7))
    assert "atoms 0 and 1 (O-H) are 0.70 Å apart; the training data begin at 0.90 Å" in message
    assert "H-H" in message


def test_atoms_that_are_too_far(card: ModelCard) -> None:
    assert "atom 0 (O) is 1.60 Å from its nearest" in told(card, water(1.6))
    apart = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 50.0]]))
    assert "over 6 Å from its nearest neighbour" in told(card, apart)


def test_pairs_that_were_never_seen(card: ModelCard) -> None:
    peroxide = Structure(np.array([8, 8]), np.array([[0.0, 0, 0], [0, 0, 1.1]]))
    assert "atoms 0 and 1 are 1.10 Å apart, and no pair O-O" in told(card, peroxide)


def test_more_atoms_than_any(card: ModelCard) -> None:
    two = water(0.96).positions
    both = Structure(
        np.tile(water(0.96).numbers, 2), np.concatenate([two, two + np.array([4.0, 0, 0])])
    )
    assert "6 atoms; the largest" in told(card, both)


def test_a_crystal_for_a_model_of_molecules(card: ModelCard, full: ModelCard) -> None:
    crystal = water(0.96, cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    assert "is periodic, and the model was trained on molecules only" in told(full, crystal)
    assert told(card, crystal) == ""  # an old card does not know


def test_charges_that_were_never_seen(full: ModelCard) -> None:
    assert "charge 2; those of the training data are -1, 0" in told(full, water(0.96, charge=2))


def test_of_such_charges_no_error_is_stated(full: ModelCard, card: ModelCard) -> None:
    estimated = replace(still(water(1.0)), energy_variance=0.01, force_errors=np.full(3, 0.1))
    for known, charge, states in ((full, -1, True), (full, 2, False), (card, 2, True)):
        stated = Domain(Known(known), water(1.0, charge=charge)).stated(estimated)
        assert (stated.energy_std is not None) is (stated.forces_std is not None) is states


def test_single_atoms_are_known_or_not(full: ModelCard) -> None:
    oxygen, hydrogen = (Structure(np.array([z]), np.zeros((1, 3))) for z in (8, 1))
    assert told(full, oxygen) == ""
    assert told(full, hydrogen).startswith("atom 0 (H) is alone, and single atoms")


def test_an_atom_that_lacks_a_neighbour(full: ModelCard) -> None:
    hydroxyl = Structure(np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 0.96]]))
    message = "atom 0 (O) has 1 neighbour (1 H) within bond range, as none in the training data"
    assert message in told(full, hydroxyl)


def test_bonds_that_are_longer_than_those_of_such_atoms(full: ModelCard) -> None:
    message = told(full, water(1.1))
    assert (
        "atom 0 (O) has 2 neighbours (2 H) within bond range, on average at 1.13 times" in message
    )
    assert "in the training data at 0.95 to 1.05 times" in message


def test_at_most_three_are_named(full: ModelCard) -> None:
    row = [[1.3 * step, 0, 0] for step in range(5)]
    chain = Structure(np.array([6, 6, 7, 7, 7]), np.array(row))
    assert "; and " in told(full, chain)
    assert " more" in told(full, chain)


def test_forces_longer_than_any(full: ModelCard, pair_card: ModelCard) -> None:
    structure = water(0.96)
    forces = np.array([[0.0, 0, 3.9], [0, 0, 2.1], [0, 0, 5.0]])
    pulled = StructurePrediction(0.0, np.zeros(3), forces)
    (warning,) = doubts_of_answer(Known(full), structure, pulled)
    assert warning.code == "out_of_domain"
    assert warning.message == (
        "the force on atom 2 (H) is 5 eV/Å; in the training data at most 2 eV/Å"
    )
    assert doubts_of_answer(Known(full), structure, still(structure)) == ()
    assert doubts_of_answer(Known(full), structure, StructurePrediction(0.0, np.zeros(3))) == ()
    assert doubts_of_answer(Known(pair_card), structure, pulled) == ()


def test_atoms_that_are_new_to_the_model(pair_card: ModelCard) -> None:
    novelty = np.array([1.5, 0.9, 1.0, 7.25, 1.1, 2.0])
    structure = Structure(np.array([8, 1, 1, 6, 6, 6]), 5.0 * np.eye(6, 3) + np.arange(6)[:, None])
    prediction = StructurePrediction(0.0, np.zeros(6), novelty=novelty)
    (warning,) = doubts_of_answer(Known(pair_card), structure, prediction)
    assert warning.message == (
        "atom 3 (C) is unlike those of the training data (novelty 7.25, limit 1); "
        "atom 5 (C) is unlike those of the training data (novelty 2, limit 1); "
        "atom 0 (O) is unlike those of the training data (novelty 1.5, limit 1); and 1 more"
    )


def test_forces_that_are_less_certain_than_usual(pair_card: ModelCard) -> None:
    fit = Calibration(count=9, spearman=None, error_over_std=1.0, within_std=0.7)
    usual = Uncertainty(energy=fit, forces=fit, false_alarms=0.01, usual_forces=0.2)
    known = Known(pair_card.model_copy(update={"uncertainty": usual}))
    sure = replace(still(water(1.0)), energy_variance=0.01, force_errors=np.full(3, 0.2))
    unsure = replace(sure, force_errors=np.array([0.0, 0.3, 0.4]))
    assert doubts_of_answer(known, water(1.0), sure) == ()
    (warning,) = doubts_of_answer(known, water(1.0), unsure)
    assert "off by 0.289 eV/Å" in warning.message
    assert warning.message.endswith("99 % are below 0.2 eV/Å")


def test_of_a_relaxation_it_is_told_which_geometry(full: ModelCard) -> None:
    crystal = water(1.6, cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    piece = Piece.whole(build_graph(crystal, full.cutoff))
    for when, periodic in ((BEFORE, True), (AFTER, False)):
        domain = Domain(Known(full), crystal, when)
        domain.look(piece)
        messages = [warning.message for warning in domain.doubts(still(crystal))]
        assert any(message.startswith(when) and "(O) is 1.60 Å" in message for message in messages)
        assert any("periodic" in message for message in messages) is periodic


def test_an_error_names_all_reasons_before_anything_is_evaluated(full: ModelCard) -> None:
    crystal = water(1.6, cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    domain = Domain(Known(full), crystal, on_ood="error")
    with pytest.raises(OutOfDomain, match=r"periodic.*1.60 Å.*an error since on_ood is error"):
        domain.look(Piece.whole(build_graph(crystal, full.cutoff)))


def test_who_cannot_tell_says_so(pair_card: ModelCard, full: ModelCard) -> None:
    check_on_ood([pair_card], "warn")
    check_on_ood([pair_card, full], "error")
    with pytest.raises(InvalidRequest, match=r"'pairs@1' cannot tell.*neither trained_on nor"):
        check_on_ood([pair_card], "error")


@pytest.mark.parametrize("strictly_local", [True, False])
def test_pieces_say_the_same_as_the_whole(full: ModelCard, strictly_local: bool) -> None:
    rng = np.random.default_rng(3)
    grid = 2.5 * np.array(list(np.ndindex(5, 4, 3)), dtype=float)
    positions = grid + rng.uniform(-0.7, 0.7, grid.shape)
    structure = Structure(
        rng.choice([1, 6, 8], len(grid)), positions, np.diag([12.5, 10.0, 7.5]), np.ones(3, bool)
    )
    domain, count = Domain(Known(full), structure), 0
    cutter = Cutter(Region.of(structure), 6.0, 6.0, strictly_local, 9, 10**6, lambda _: True)
    while (piece := cutter.next()) is not None:
        domain.look(piece)
        count += 1
    assert count > 3
    whole = Domain(Known(full), structure)
    whole.look(Piece.whole(build_graph(structure, 6.0)))
    assert domain.doubts(still(structure)) == whole.doubts(still(structure))


def test_more_odd_atoms_than_the_training_data_had(pair_card: ModelCard) -> None:
    most = {"free": 0, "unsaturated": 1, "shared": 0}
    known = RANGE.model_copy(update={"oddities": most, "most_atoms": 99, "least_ratio": 0.1})
    card = pair_card.model_copy(update={"trained_on": known, "cutoff": 5.0})
    benzene = molecule("C6H6")
    assert told(card, from_ase(benzene)) == ""
    assert "carbon" not in told(card, from_ase(benzene[:11]))
    message = told(card, from_ase(benzene[:8]))
    assert "atoms 2, 3, 4 and 1 more (carbon) whose neighbours leave room" in message
    assert "4 in all; in 99.9 % of the training data at most 1: hydrogens may be missing" in message
    anion = replace(from_ase(benzene[:10]), charge=-2)
    assert "carbon" not in told(card, anion)
    benzene.positions *= 1.8897
    assert "atoms 0, 1, 2 and 9 more without a neighbour" in told(card, from_ase(benzene))
    pair = Structure(np.array([6, 6]), np.array([[0.0, 0, 0], [0, 0, 4.0]]))
    assert "without a neighbour within bond range" not in told(card, pair)


def test_structures_compared_together_are_told_the_same_as_each_alone(full: ModelCard) -> None:
    most = {"free": 0, "unsaturated": 0, "shared": 0}
    trained_on = FULL.model_copy(update={"oddities": most, "alone": ("O",)})
    tables = Known(full.model_copy(update={"trained_on": trained_on})).tables
    assert tables is not None
    structures = [
        *(water(0.96), water(0.7), from_ase(molecule("C6H6")[:8]), water(1.6), water(0.5)),
        *(Structure(np.array([z]), np.zeros((1, 3))) for z in (1, 8)),
        water(1.6, cell=8.0 * np.eye(3), pbc=np.ones(3, dtype=bool)),
    ]
    together = compared(tables, build_graphs(structures, full.cutoff))
    alone = [compared(tables, build_graph(each, full.cutoff))[0] for each in structures]
    told = [list(each.told(tables, 0)) for each in together]
    assert told == [list(each.told(tables, 0)) for each in alone]
    assert [bool(each) for each in told] == [False, True, True, True, True, True, False, True]
