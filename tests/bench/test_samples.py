"""What is measured."""

from pathlib import Path

import pytest

from app.bench.samples import crystals, molecules, of_file
from app.errors import InputError, UnsupportedElement
from app.store.card import ModelCard


def test_a_model_without_the_molecules_elements_gets_clusters_of_its_own(
    pair_card: ModelCard,
) -> None:
    sample = molecules(pair_card.model_copy(update={"elements": ("Ar", "Ne")}))
    assert sample.name == "cluster, 21 atoms"
    assert {symbol for structure in sample.structures for symbol in structure.symbols} == {
        "Ar",
        "Ne",
    }


def test_a_model_that_knows_them_gets_molecules_and_crystals(pair_card: ModelCard) -> None:
    assert molecules(pair_card).name == "aspirin, 21 atoms"
    sample = crystals(pair_card)
    assert sample.atoms == 64
    assert all(structure.is_bulk for structure in sample.structures)
    assert len({structure.positions.tobytes() for structure in sample.structures}) > 1


def test_there_are_as_many_as_wanted(pair_card: ModelCard) -> None:
    sample = crystals(pair_card)
    many = sample.take(len(sample.structures) + 1)
    assert many[-1] is many[0]


def test_a_file_that_is_empty_or_has_an_unknown_element_is_refused(
    tmp_path: Path, pair_card: ModelCard
) -> None:
    file = tmp_path / "own.xyz"
    file.write_text("1\n\nAr 0 0 0\n1\n\nXe 0 0 0\n")
    with pytest.raises(UnsupportedElement, match=r"own\.xyz: frame 1: "):
        of_file(file, pair_card)
    file.write_text("")
    with pytest.raises(InputError):
        of_file(file, pair_card)
