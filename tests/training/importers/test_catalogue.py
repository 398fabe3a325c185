"""Every importer gives the network that the file is of, and says what it cannot take."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.atoms.neighbors import build_graph
from app.errors import TrainingError
from app.store.card import ModelCard
from app.store.summary import summary
from app.training.export.certificate import EagerModel
from app.training.export.publish import About, card_of
from app.training.importers.catalogue import FORMATS, PUBLISHED
from app.training.importers.inert import Inert, load_module
from app.training.importers.pickled import load_pickled
from tests.structures import random_crystal, random_molecule
from tests.training.importers.conftest import WRITERS


def read(kind, path):
    return FORMATS[kind.partition(",")[0]].importer.read(path)


def eager(model) -> tuple[EagerModel, ModelCard]:
    card = card_of(model, "read", 1, About(), "float64", 0)
    return EagerModel(model.network(), card), card


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_gives_the_energies_and_forces_of_its_network(kind, written):
    path, network = written(kind)
    backend, card = eager(read(kind, path))
    for structure in (random_molecule(card, 9, seed=2), random_crystal(card, (2, 1, 1), seed=3)):
        graph = build_graph(structure, card.cutoff)
        vectors = torch.tensor(graph.edge_vectors(), requires_grad=True)
        species, edges = torch.tensor(card.species(graph.numbers)), torch.tensor(graph.edge_index)
        energies = network(species, vectors, *edges)
        (slopes,) = torch.autograd.grad(energies.sum(), vectors)
        forces = graph.sum_by_centre(slopes.numpy()) - graph.sum_by_neighbour(slopes.numpy())
        answer = backend(graph)
        np.testing.assert_allclose(answer.energies, energies.detach(), rtol=0, atol=1e-6)
        scale = max(1.0, np.abs(forces).max())
        np.testing.assert_allclose(answer.forces, forces, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_lone_atom_has_the_energy_of_the_network(kind, written):
    path, network = written(kind)
    model = read(kind, path)
    nothing = torch.zeros(0, dtype=torch.int64)
    species = torch.arange(len(model.statistics.elements))
    energies = network(species, torch.zeros(0, 3), nothing, nothing)
    found = [model.statistics.atomic_energies[symbol] for symbol in model.statistics.elements]
    np.testing.assert_allclose(found, energies, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["sevennet", "nequip"])
def test_weights_that_are_missing_or_left_over_are_named(kind, written):
    path, _ = written(kind)
    content = load_pickled(path)
    state = content["model_state_dict" if kind == "sevennet" else "state_dict"]
    name = next(name for name in state if "linear_1" in name or "self_interaction_1" in name)
    state[name.replace("_1", "_9")] = state.pop(name)
    torch.save(content, path)
    short = name.removeprefix("model.sole_model.model.func.")
    with pytest.raises(TrainingError, match=f"lacks the weights {short}"):
        read(kind, path)
    state[name] = state[name.replace("_1", "_9")]
    torch.save(content, path)
    with pytest.raises(TrainingError, match=f"no layer takes: {short.replace('_1', '_9')}"):
        read(kind, path)


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("sevennet", {"use_modality": True}, "its use_modality is True"),
        ("sevennet", {"act_radial": "ssp"}, "its act_radial is 'ssp'"),
        ("sevennet", {"_normalize_sph": False}, "its _normalize_sph is False"),
        ("sevennet", {"irreps_manual": ["6x0e", "6x0e", "6x0e+4x1e", "6x0e"]}, "irreps_manual"),
        ("sevennet", {"lmax": 3}, "has shape|lacks|weights"),
        ("nequix", {"index_weights": True}, "index_weights"),
        ("nequix", {"n_layers": 2}, "arrays, where its configuration has"),
        ("nequip", {"pair_potential": {"_target_": "ZBL"}}, "its pair_potential is"),
        ("nequip", {"avg_num_neighbors": {"H": 3.0, "C": 4.0, "O": 5.0}}, "differs between"),
        ("nequip", {"type_names": ["A", "H", "O"]}, "the type A, which is no chemical symbol"),
        ("nequip", {"dance": 1}, "has dance, which is not known"),
        ("nequip", {"_target_": "nequip.model.modify"}, "is built by nequip.model.modify"),
        ("mace", {"heads": ["pbe", "r2scan"]}, "it has the heads pbe, r2scan"),
        ("mace", {"use_so3": True}, "its use_so3 is True"),
    ],
)  # fmt: skip
def test_what_our_architecture_does_not_have_is_named(kind, changes, reason, written):
    path, _ = written(kind, **changes)
    with pytest.raises(TrainingError, match=reason):
        read(kind, path)


class Hostile:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_in_a_file_is_run(kind, tmp_path, capsys):
    torch.save({"config": Hostile(), "model_state_dict": {}}, tmp_path / "hostile")
    (tmp_path / "pickle").write_bytes(pickle.dumps(Hostile()))
    (tmp_path / "text").write_text("{}\n" * 3)
    for name in ("hostile", "pickle", "text", "missing"):
        with pytest.raises(TrainingError, match=name):
            read(kind, tmp_path / name)
    assert capsys.readouterr().out == ""


def test_an_array_that_is_pickled_is_not_read(written):
    path, _ = written("nequix")
    with path.open("ab") as file:
        np.save(file, np.array([Hostile()], dtype=object), allow_pickle=True)
    with pytest.raises(TrainingError, match="no array"):
        read("nequix", path)


def test_weights_of_a_pickled_module_that_are_missing_or_left_over_are_named(written, monkeypatch):
    path, _ = written("mace")
    name = "interactions.1.linear_up.weight"
    tensors = dict(load_module(path).tensors())
    for changed, reason in (
        ({**tensors, "more": tensors[name]}, "no layer takes: more"),
        (
            {key: value for key, value in tensors.items() if key != name},
            f"lacks the weights {name}",
        ),
    ):
        monkeypatch.setattr(Inert, "tensors", lambda self, now=changed: iter(now.items()))
        with pytest.raises(TrainingError, match=reason):
            read("mace", path)


def test_published_models_are_of_formats_that_are_read():
    assert {published.format for published in PUBLISHED.values()} <= FORMATS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_known_errors_of_a_published_model_go_onto_its_card(name, written):
    path, _ = written("sevennet")
    measured = PUBLISHED[name].measured()
    model = replace(read("sevennet", path), measured=measured)
    card = card_of(model, "read", 1, About(), "float32", 0)
    assert card.metrics.keys() == measured.keys()
    assert any("that it was trained on, it is off" in text for text in summary(card)) == bool(
        measured
    )
