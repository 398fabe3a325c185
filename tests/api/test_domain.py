"""What the training data never held is told, or refused, by a real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.store.card import ModelCard
from app.store.store import ModelStore
from app.store.training_range import TrainingRange
from tests.api.server import Running, running

NEAR = {"symbols": ["Ar", "Ar"], "positions": [[0, 0, 0], [0, 0, 3.9]]}
FAR = {"symbols": ["Ar", "Ar"], "positions": [[0, 0, 0], [0, 0, 4.5]]}
SILICON = {"symbols": ["Si"], "positions": [[0, 0, 0]]}
MIXED = {"symbols": ["Ar", "Xe"], "positions": [[0, 0, 0], [0, 0, 4]]}
XYZ = "2\n\nAr 0 0 0\nAr 0 0 4.5\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pair_card: ModelCard) -> Iterator[Running]:
    """Models that were trained on argon from 3.6 to 4.2 Å, from 4 to 4.6 Å, and on nothing."""
    root = tmp_path_factory.mktemp("domain")
    narrow = TrainingRange(
        most_atoms=2, closest={"Ar-Ar": 3.6}, farthest={"Ar": 4.2}, periodic=False, charges=(0,)
    )
    stretched = narrow.model_copy(update={"closest": {"Ar-Ar": 4.0}, "farthest": {"Ar": 4.6}})
    xenon = {**pair_card.pair, "Xe": pair_card.pair["Ar"]}
    for card in (
        pair_card.model_copy(update={"trained_on": narrow}),
        pair_card.model_copy(update={"name": "stretched", "trained_on": stretched}),
        pair_card.model_copy(
            update={"name": "noble", "elements": (*pair_card.elements, "Xe"), "pair": xenon}
        ),
    ):
        with ModelStore(root).publish(card):
            pass
    with running(root) as server:
        yield server


def results(server: Running, *structures: Any, **options: Any) -> list[dict[str, Any]]:
    answered = server.predict({"structures": structures, **options}).json()["results"]
    assert isinstance(answered, list)
    return answered


def messages(result: dict[str, Any]) -> list[str]:
    assert all(each["code"] == "out_of_domain" for each in result.get("warnings", []))
    return [each["message"] for each in result.get("warnings", [])]


def test_it_is_told_with_atoms_values_and_limits(server: Running) -> None:
    near, far = results(server, NEAR, FAR)
    assert messages(near) == []
    assert messages(far) == [
        "atom 0 (Ar) is 4.50 Å from its nearest neighbour; in the training data at most 4.20 Å"
    ]


def test_or_refused_without_cost_to_the_others(server: Running) -> None:
    near, far = results(server, NEAR, FAR, on_ood="error")
    assert near["status"] == "ok"
    assert far["error"]["code"] == "out_of_domain"
    assert "atom 0 (Ar) is 4.50 Å" in far["error"]["message"]
    alone = server.predict({**FAR, "on_ood": "error"})
    assert (alone.status_code, alone.json()["error"]["code"]) == (422, "out_of_domain")


def test_strict_is_about_all_warnings_and_this_about_one(server: Running) -> None:
    def code(**options: Any) -> str:
        return str(results(server, FAR, **options)[0]["error"]["code"])

    assert code(strict=True) == "doubtful_answer"
    assert code(strict=True, on_ood="error") == "out_of_domain"


def test_of_a_relaxation_it_is_told_which_end_is_meant(server: Running) -> None:
    (inwards,) = results(server, FAR, relax={"fmax": 1e-4, "optimizer": "fire"})
    assert len(messages(inwards)) == 1
    assert messages(inwards)[0].startswith("before the relaxation: atom 0 (Ar) is 4.50 Å")
    (leaving,) = results(server, FAR, relax={"fmax": 1e-4, "optimizer": "fire"}, model="stretched")
    (message,) = messages(leaving)
    assert message.startswith("after the relaxation: atoms 0 and 1 (Ar-Ar) are 3.82 Å apart")


def test_one_that_has_not_moved_is_told_once(server: Running) -> None:
    (still,) = results(server, FAR, relax={"steps": 0})
    assert len(messages(still)) == 1


def test_where_it_is_refused_nothing_is_relaxed(server: Running) -> None:
    ended = 'equipot_relaxation_steps_count{model="pairs@1"}'
    before = server.metric(ended)
    (far,) = results(server, FAR, relax=True, on_ood="error")
    assert far["error"]["message"].startswith("before the relaxation: atom 0 (Ar) is 4.50 Å")
    assert server.metric(ended) == before


def test_a_relaxation_that_leaves_the_domain_is_refused_at_its_end(server: Running) -> None:
    asked = {"relax": {"fmax": 1e-4, "optimizer": "fire"}, "on_ood": "error"}
    assert results(server, NEAR, **asked)[0]["status"] == "ok"
    (left,) = results(server, FAR, model="stretched", **asked)
    assert left["error"]["code"] == "out_of_domain"
    assert left["error"]["message"].startswith("after the relaxation: atoms 0 and 1 (Ar-Ar)")


def test_xyz_asks_in_the_query(server: Running) -> None:
    headers = {"content-type": "chemical/x-xyz"}
    warned = server.client.post("/predict", content=XYZ, headers=headers)
    assert 'warnings="out_of_domain: atom 0 (Ar) is 4.50' in warned.text
    refused = server.client.post("/predict?on_ood=error", content=XYZ, headers=headers)
    assert "code=out_of_domain" in refused.text
    unknown = server.client.post("/predict?on_ood=maybe", content=XYZ, headers=headers)
    assert "on_ood: 'maybe' is neither warn nor error" in unknown.json()["error"]["message"]


def test_a_model_that_cannot_tell_says_so(server: Running) -> None:
    refused = server.predict({**NEAR, "model": "noble", "on_ood": "error"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    assert "'noble@1' cannot tell" in refused.json()["error"]["message"]


def test_an_element_that_it_lacks_names_models_that_have_it(server: Running) -> None:
    mixed, silicon = results(server, MIXED, SILICON)
    assert mixed["error"]["code"] == silicon["error"]["code"] == "unsupported_element"
    assert "atom 1 is Xe" in mixed["error"]["message"]
    assert mixed["error"]["message"].endswith("have all elements of the structure: noble")
    assert silicon["error"]["message"].endswith(
        "no model that is served has all elements of the structure"
    )


def test_where_doubts_are_errors_it_names_models_that_can_tell(server: Running) -> None:
    mixed, alien = results(server, MIXED, SILICON, on_ood="error")
    assert mixed["error"]["message"].endswith(
        "these have all elements of the structure, but cannot tell what is out of their domain, and "
        "answer where on_ood is not error: noble"
    )
    assert alien["error"]["message"].endswith("has all elements of the structure")
    assert results(server, MIXED, model="noble")[0]["status"] == "ok"


def test_a_card_comes_with_a_summary(server: Running) -> None:
    summary = server.client.get("/models/pairs").json()["summary"]
    assert summary[0].startswith("It knows argon, neon, hydrogen, carbon, nitrogen and oxygen")
