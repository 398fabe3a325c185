"""The errors of a model are the same through the service."""

from dataclasses import replace

import numpy as np
import pytest

from app.cli.main import main
from app.errors import BackendError, InvalidData
from app.store.store import ModelStore
from app.training.evaluation.predictors import open_predictor
from app.training.evaluation.report import page, report
from tests.api.server import running
from tests.training.labelled import CARD, crystals, molecules, write


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with ModelStore(folder).publish(CARD):
        pass
    return folder


@pytest.fixture(scope="module")
def url(store):
    with running(store) as server:
        yield str(server.client.base_url)


@pytest.fixture(scope="module")
def frames():
    """Molecules and crystals whose labels are off by known errors."""
    made = [*molecules(10), *crystals(2)]
    return [
        replace(f, energy=f.energy + 0.1 * i, forces=1.1 * f.forces) for i, f in enumerate(made)
    ]


def test_the_service_gives_the_errors_that_the_store_gives(store, url, frames):
    expected = report(open_predictor("pairs", store)(frames), frames)
    predicted = open_predictor("pairs@1", store, batch_size=5, server=url)(frames)
    found = report(predicted, frames)
    assert page(found, 10) == page(expected, 10)
    assert found.forces_rmse == pytest.approx(expected.forces_rmse, rel=1e-9)
    assert np.isfinite(predicted.stress).all(axis=(1, 2)).tolist() == [False] * 10 + [True] * 2


def test_a_frame_that_the_model_cannot_answer_for_is_named(url, frames):
    numbers = np.full_like(frames[3].structure.numbers, 14)
    other = replace(
        frames[3], structure=replace(frames[3].structure, numbers=numbers), file="odd.xyz"
    )
    predict = open_predictor("pairs", server=url, store=None)
    with pytest.raises(InvalidData, match=r"^odd\.xyz, frame \d+: atom 0 is Si"):
        predict([*frames[:3], other])


def test_a_service_that_refuses_or_is_not_there_is_an_error(url, frames):
    with pytest.raises(BackendError, match=r"answered 404: .*nobody"):
        open_predictor("nobody", None, server=url)(frames)
    with pytest.raises(BackendError, match="did not answer as a service does"):
        open_predictor("pairs", None, server="http://127.0.0.1:9")(frames)


def test_the_command_asks_a_server(url, tmp_path, capsys):
    write(tmp_path / "frames.xyz", molecules(4))
    words = ["evaluate", "pairs", str(tmp_path / "frames.xyz"), "--server", url]
    assert main(words) == 0
    assert "4 frames" in capsys.readouterr().out
    assert main([*words, "--device", "cuda"]) != 0
    assert "--device cuda: with --server the service decides" in capsys.readouterr().err
