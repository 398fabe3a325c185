"""The repulsion of Ziegler, Biersack and Littmark against its formula, and its end."""

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers, covalent_radii

from app.training.models import AllegroConfig, LocalInputs, Statistics, build_model
from app.training.models.repulsion import Repulsion

ELEMENTS = ("H", "C", "Br")


def pair_energy(repulsion, i, j, distance):
    """eV, of two atoms a distance (Å) apart."""
    vectors = torch.zeros(2, 1, 3, dtype=torch.float64)
    vectors[:, 0, 0] = torch.stack([distance, -distance])
    species = torch.tensor([ELEMENTS.index(i), ELEMENTS.index(j)])
    inputs = LocalInputs(species, species.flip(0)[:, None], vectors, torch.ones(2, 1, dtype=bool))
    return repulsion(inputs).sum()


@pytest.fixture(scope="module")
def repulsion():
    return Repulsion(ELEMENTS, 5.0).double()


@pytest.mark.parametrize(("i", "j"), [("H", "H"), ("H", "C"), ("C", "Br"), ("Br", "Br")])
def test_the_energy_is_that_of_the_formula(repulsion, i, j):
    zi, zj = atomic_numbers[i], atomic_numbers[j]
    reach = covalent_radii[zi] + covalent_radii[zj]
    a = 0.8854 * 0.529177 / (zi**0.23 + zj**0.23)
    for r in (0.1, 0.3, 0.6 * reach, 0.95 * reach):
        c, d = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
        screening = sum(share * np.exp(-decay * r / a) for share, decay in zip(c, d, strict=True))
        x = r / reach
        envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
        expected = 14.399645 * zi * zj / r * screening * envelope
        found = pair_energy(repulsion, i, j, torch.tensor(r, dtype=torch.float64)).item()
        assert found == pytest.approx(expected, rel=1e-5)


def test_it_ends_smoothly_at_the_sum_of_the_radii(repulsion):
    reach = 2 * covalent_radii[6]
    for distance, zero in ((reach - 1e-3, 1e-3), (reach, 0.0), (reach + 0.1, 0.0)):
        r = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
        energy = pair_energy(repulsion, "C", "C", r)
        (slope,) = torch.autograd.grad(energy, r, create_graph=True)
        assert abs(energy.item()) <= zero
        assert abs(slope.item()) <= zero


def test_a_model_has_it_where_its_config_says_so():
    statistics = Statistics(
        elements=ELEMENTS, atomic_energies={}, force_scale=1.0, average_neighbors=10.0
    )
    with_it, without = (
        build_model(AllegroConfig(repulsion=kind), statistics, torch.float64)
        for kind in ("zbl", "none")
    )
    r = torch.tensor(0.1, dtype=torch.float64)
    expected = pair_energy(without, "C", "C", r) + pair_energy(with_it.terms.repulsion, "C", "C", r)
    torch.testing.assert_close(pair_energy(with_it, "C", "C", r), expected)
    assert pair_energy(with_it, "H", "C", r).item() > 100
