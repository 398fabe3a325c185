import pytest
import torch

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.training.export.certificate import model_inputs
from app.training.models import AllegroConfig, portions
from app.training.models.derivatives import evaluate
from app.training.models.portions import portion_sizes
from tests.structures import random_molecule
from tests.training.cards import reference


@pytest.mark.parametrize("takes_charge", [False, True])
def test_portions_give_the_energies_forces_and_gradients_of_the_whole(monkeypatch, takes_charge):
    backend = reference(
        AllegroConfig(cutoff=4.0, num_scalars=16, num_tensors=4, takes_charge=takes_charge)
    )
    molecules = [random_molecule(backend.card, n, seed=n) for n in (1, 3, 11, 20)]
    graph = collate([build_graph(molecule, 4.0) for molecule in molecules])
    inputs = model_inputs(graph, backend.card)

    def answers():
        energies, forces, virials = evaluate(backend.model, inputs, create_graph=True)
        loss = energies.square().sum() + forces.square().sum() + virials.square().sum()
        return energies, forces, virials, *torch.autograd.grad(loss, [*backend.model.parameters()])

    monkeypatch.setattr(portions, "EDGES", 10**9)
    whole = answers()
    monkeypatch.setattr(portions, "EDGES", 40)
    degree = inputs.mask.sum(1).sort().values
    assert len(portion_sizes(degree)) > 3
    for in_portions, at_once in zip(answers(), whole, strict=True):
        torch.testing.assert_close(in_portions, at_once, rtol=1e-10, atol=1e-10)


def test_portions_have_about_as_many_edges_each_and_all_atoms_once(monkeypatch):
    monkeypatch.setattr(portions, "EDGES", 100)
    degree = torch.arange(40)
    sizes = portion_sizes(degree)
    edges = [int(part.sum()) for part in degree.split(sizes)]
    assert sum(sizes) == 40
    assert len(sizes) == round(780 / 100)
    assert all(abs(count - 780 / len(sizes)) <= 40 for count in edges)


def test_atoms_without_neighbours_are_one_portion():
    assert portion_sizes(torch.zeros(5, dtype=torch.long)) == [5]
