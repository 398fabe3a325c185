"""A model of another package, from its file to an answer, and to a run that begins with it."""

import json

import pytest
import torch

from app.cli.main import main
from app.store.store import ModelStore
from app.training.runs.base import load_base
from app.training.runs.config import StartConfig
from tests.training.importers.plain import KINDS, NUMBERS, Plain, write_sevennet


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A SevenNet of one block, with random weights."""
    path = tmp_path_factory.mktemp("checkpoint") / "small.pth"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    write_sevennet(Plain(KINDS["sevennet"], layers=1), path)
    torch.set_default_dtype(before)
    return path


@pytest.fixture(scope="module")
def store(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    what = ["sevennet", str(checkpoint), "--name", "mine", "--model-store", str(folder)]
    assert main(["models", "import", *what]) == 0
    return folder


def test_its_card_says_where_it_comes_from(store):
    card = ModelStore(store).load("mine").card
    assert (card.architecture, card.elements, card.dtype) == ("nequip", ("C", "H", "O"), "float32")
    assert card.imported.format == "sevennet"
    assert card.imported.source == "small.pth"
    assert "Park" in card.imported.citation
    assert not card.closed_shell
    assert card.imported.comparison or any("not compared" in text for text in card.limitations)
    assert card.certificate.held_out is not None


def test_it_answers(store, tmp_path, capsys):
    structure = {"numbers": list(NUMBERS), "positions": [[0, 0, 0], [1.1, 0, 0], [0, 1.2, 0.1]]}
    (tmp_path / "asked.xyz").write_text("3\n\nC 0 0 0\nH 1.1 0 0\nO 0 1.2 0.1\n")
    options = ["--model", "mine", "--model-store", str(store), "--json"]
    assert main(["predict", str(tmp_path / "asked.xyz"), *options]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert len(result["forces"]) == len(structure["numbers"])


def test_a_run_can_begin_with_it(store):
    base = load_base(StartConfig(model="mine"), ModelStore(store))
    assert base.model.architecture == "nequip"
    assert base.statistics.elements == ("C", "H", "O")
    assert base.origin.reference == "mine@1"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ([], "write a published model, or a format and a file"),
        (["sevennet"], "or one of sevennet, nequix, nequip, mace and a file"),
        (["no-such"], "write one of sevennet-0, sevennet-l3i5"),
        (["sevennet-0", "file"], "write one of"),
    ],
)
def test_what_is_no_model_is_named(what, said, tmp_path, capsys):
    assert main(["models", "import", *what, "--model-store", str(tmp_path)]) in (1, 2)
    assert said in capsys.readouterr().err
