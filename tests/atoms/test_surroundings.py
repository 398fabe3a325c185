"""Neighbours within bond range, and how long bonds are."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.atoms.surroundings import Surroundings, kind_name, pair_name, parts_of, surroundings
from app.formats.ase_atoms import from_ase


def around(structure: Structure) -> Surroundings:
    graph = build_graph(structure, 5.0)
    lengths = np.linalg.norm(graph.edge_vectors(), axis=1)
    centre, neighbour = graph.edge_index
    return surroundings(graph.numbers, centre, graph.numbers[neighbour], lengths)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("CH3CH2OH", {"CX4H2", "CX4H3", "OX2H1", "HX1H0"}),
        ("C6H6", {"CX3H1", "HX1H0"}),
        ("HCN", {"CX2H1", "NX1H0", "HX1H0"}),
        ("CO2", {"CX2H0", "OX1H0"}),
    ],
)
def test_kinds_are_those_of_smarts(name: str, kinds: set[str]) -> None:
    found = around(from_ase(molecule(name)))
    assert set(map(kind_name, found.kind.tolist())) == kinds


def test_images_are_neighbours() -> None:
    found = around(from_ase(bulk("Cu")))
    assert parts_of(int(found.kind[0])) == (29, 12, 0)
    assert found.nearest[0] == pytest.approx(3.61 / np.sqrt(2))
    assert found.stretch[0] == pytest.approx(3.61 / np.sqrt(2) / 2.64)


def test_an_atom_alone_has_no_bonds() -> None:
    found = around(Structure(np.array([8, 8]), np.array([[0.0, 0, 0], [0, 0, 9.0]])))
    assert set(map(kind_name, found.kind.tolist())) == {"OX0H0"}
    assert found.stretch.tolist() == [0.0, 0.0]
    assert np.isinf(found.nearest).all()


def test_pairs_have_the_lower_number_last() -> None:
    assert pair_name(1, 6) == pair_name(6, 1) == "C-H"
