"""Who asks again has the same answer, and no model is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store.card import ModelCard
from app.store.store import ModelStore
from app.store.training_range import TrainingRange
from tests.api.server import ARGON, Running, running

FAR = {"symbols": ["Ar", "Ar"], "positions": [[0, 0, 0], [0, 0, 4.5]]}
BULK = {"symbols": ["Ar"], "positions": [[0, 0, 0]], "cell": [[0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]]}  # fmt: skip
EVALUATED = 'equipot_batch_structures_sum{model="pairs@1"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pair_card: ModelCard) -> Iterator[Running]:
    """A server that keeps answers, of a model that was trained on argon from 3.6 to 4.2 Å."""
    root: Path = tmp_path_factory.mktemp("store")
    narrow = TrainingRange(most_atoms=2, closest={"Ar-Ar": 3.6}, farthest={"Ar": 4.2})
    with ModelStore(root).publish(pair_card.model_copy(update={"trained_on": narrow})):
        pass
    with running(root, answer_cache="64KiB") as server:
        yield server


def counts(server: Running) -> dict[str, float]:
    lines = {"evaluated": EVALUATED}
    for outcome in ("hit", "miss"):
        lines[outcome] = f'equipot_answer_cache_total{{model="pairs@1",outcome="{outcome}"}}'
    lines["ok"] = 'equipot_results_total{model="pairs@1",outcome="ok"}'
    return {name: server.metric(line) for name, line in lines.items()}


@pytest.mark.parametrize(
    "asked",
    [
        {"structures": [ARGON, BULK]},
        {"structures": [FAR], "properties": ["energy"]},
        {"structures": [FAR], "on_ood": "warn"},
        {"structures": [FAR], "relax": {"fmax": 1e-3}},
        {"structures": [BULK], "relax": {"cell": "full", "pressure": 0.01, "fmax": 1e-4}},
    ],
)
def test_who_asks_again_has_the_same_answer_and_no_model_is_asked(
    server: Running, asked: dict[str, Any]
) -> None:
    first = server.predict(asked)
    assert first.status_code == 200
    before = counts(server)
    assert server.predict(asked).content == first.content
    number = len(asked["structures"])
    assert counts(server) == before | {
        "hit": before["hit"] + number,
        "ok": before["ok"] + number,
    }


def test_warnings_are_kept_and_what_refuses_them_refuses_them(server: Running) -> None:
    for _ in range(2):
        (result,) = server.predict(FAR).json()["results"]
        assert [warning["code"] for warning in result["warnings"]] == ["out_of_domain"]
        strict = server.predict({**FAR, "strict": True}).json()["error"]["code"]
        refused = server.predict({**FAR, "on_ood": "error"}).json()["error"]["code"]
        assert (strict, refused) == ("doubtful_answer", "out_of_domain")


def test_a_stream_takes_from_it_and_each_has_its_own_id(server: Running) -> None:
    server.predict(ARGON)
    before = counts(server)
    lines = "".join(json.dumps({**ARGON, "id": name}) + "\n" for name in "ab")
    kind = {"Content-Type": "application/x-ndjson"}
    answer = server.client.post("/predict", content=lines, headers=kind).text.splitlines()
    assert sorted(json.loads(line)["id"] for line in answer[1:-1]) == ["a", "b"]
    assert counts(server)["evaluated"] == before["evaluated"]


def test_it_is_off_unless_it_is_asked_for(service: Running) -> None:
    service.predict(ARGON)
    before = service.metric('equipot_batch_structures_sum{model="pairs@2"}')
    service.predict(ARGON)
    assert service.metric('equipot_batch_structures_sum{model="pairs@2"}') == before + 1
