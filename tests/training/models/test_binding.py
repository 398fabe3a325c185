"""The mean binding energy: its two ends, how smooth it is between them, and its fit."""

import numpy as np
import pytest
import torch
from ase.data import covalent_radii

from app.atoms.structure import Structure
from app.training.data.binding import fit_binding
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.models import AllegroConfig, LocalInputs, Statistics, build_model
from app.training.models.binding import Binding

ELEMENTS = ("H", "C", "O")
ENERGIES = {"H": -3.0, "C": -10.0, "O": -8.0}
STATISTICS = Statistics(
    elements=ELEMENTS,
    atomic_energies=dict.fromkeys(ELEMENTS, 0.0),
    binding_energies=ENERGIES,
    force_scale=1.0,
    average_neighbors=3.0,
)


def pair(distance):
    """C and H a distance (Å) apart."""
    vectors = torch.zeros(2, 1, 3, dtype=torch.float64)
    vectors[:, 0, 0] = torch.stack([distance, -distance])
    species = torch.tensor([1, 0])
    return LocalInputs(species, species.flip(0)[:, None], vectors, torch.ones(2, 1, dtype=bool))


@pytest.fixture(scope="module")
def binding():
    return Binding(ELEMENTS, 5.0, ENERGIES).double()


def test_it_goes_from_the_bond_to_none_and_ends_smoothly(binding):
    reach = 2 * (covalent_radii[1] + covalent_radii[6])
    bond = torch.tensor(0.45 * reach, dtype=torch.float64)
    assert binding(pair(bond)) == pytest.approx([-10.0, -3.0], rel=0.1)
    for distance, most in ((reach - 1e-3, 1e-3), (reach, 0.0), (reach + 0.1, 0.0)):
        r = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
        energy = binding(pair(r)).sum()
        (slope,) = torch.autograd.grad(energy, r)
        assert abs(energy.item()) <= most
        assert abs(slope.item()) <= most


def test_padding_counts_for_nothing(binding):
    near = pair(torch.tensor(1.1, dtype=torch.float64))
    padded = LocalInputs(
        near.species,
        near.neighbor_species.repeat(1, 2),
        near.edge_vectors.repeat(1, 2, 1),
        torch.tensor([[True, False]] * 2),
    )
    torch.testing.assert_close(binding(padded), binding(near))


def test_a_model_adds_it_where_its_config_says_so(binding):
    with_it, without = (
        build_model(AllegroConfig(binding=added), STATISTICS, torch.float64)
        for added in (True, False)
    )
    inputs = pair(torch.tensor(1.2, dtype=torch.float64))
    torch.testing.assert_close(with_it(inputs), without(inputs) + binding(inputs))
    assert without.state_dict().keys() == {
        name.removeprefix("model.") for name in with_it.state_dict()
    }


def frames():
    """Molecules whose energies are sums of `ENERGIES`, as far as their atoms are bound."""
    random, made = np.random.default_rng(0), []
    binding = Binding(ELEMENTS, 5.0, ENERGIES).double()
    for n in range(30):
        species = random.integers(0, 3, 4)
        positions = np.array([[0, 0, 0], [1.2, 0, 0], [0, 1.3, 0], [0, 0, 1.1]], dtype=float)
        positions += random.normal(scale=0.05, size=(4, 3))
        vectors = torch.tensor(positions[None] - positions[:, None])
        inputs = LocalInputs(
            torch.tensor(species),
            torch.tensor(species)[None].repeat(4, 1),
            vectors,
            ~torch.eye(4, dtype=bool),
        )
        numbers = np.array([1, 6, 8])[species]
        structure = Structure(numbers, positions, np.zeros((3, 3)), np.zeros(3, dtype=bool))
        energy = float(binding(inputs).sum())
        made.append(LabelledFrame(structure, energy, np.zeros((4, 3)), None, "frames.xyz", n))
    return build_dataset(made, 5.0, "float64")


def test_the_fit_finds_the_energies():
    fitted = fit_binding(frames(), STATISTICS, 5.0)
    assert fitted == pytest.approx(ENERGIES, rel=1e-5)
    fixed = fit_binding(frames(), STATISTICS, 5.0, {"C": -10.0})
    assert fixed == pytest.approx(ENERGIES, rel=1e-5)
