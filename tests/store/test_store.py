import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from app.errors import (
    CorruptModel,
    ModelExists,
    UnknownModel,
)
from app.store.card import ARTIFACT, ModelCard
from app.store.store import CARD, ModelStore


@pytest.fixture
def store(tmp_path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def card(pair_card) -> ModelCard:
    return pair_card.model_copy(update={"name": "lj", "version": 3})


@pytest.fixture
def folder(store, card) -> Path:
    """A published version with two files."""
    with store.publish(card) as publication:
        (publication.folder / ARTIFACT).write_bytes(b"weights")
        (publication.folder / "metrics.json").write_text("{}")
    return store.root / "lj" / "3"


def leftovers(store: ModelStore) -> list[str]:
    return sorted(p.name for p in store.root.rglob("*") if p.name.startswith("."))


def test_what_is_published_is_loaded(store, card, folder):
    model = store.load("lj")
    assert model.card == card.model_copy(update={"files": model.card.files})
    assert set(model.card.files) == {ARTIFACT, "metrics.json"}
    assert model.folder == folder
    assert (model.folder / ARTIFACT).read_bytes() == b"weights"
    assert len(model.digest) == 64
    assert leftovers(store) == []


def test_a_card_may_be_completed_but_not_renamed_while_files_are_written(store, card):
    with store.publish(card) as publication:
        publication.card = card.model_copy(
            update={"metrics": {"mae": 1.0}, "name": "other", "version": 9}
        )
    assert store.load("lj@3").card.metrics == {"mae": 1.0}
    assert store.names() == ["lj"]


def test_the_newest_version_is_the_highest_number(store, card):
    for version in (9, 10, 2):
        with store.publish(card.model_copy(update={"version": version})):
            pass
    assert store.versions("lj") == [2, 9, 10]
    assert store.resolve("lj") == ("lj", 10)
    assert store.resolve("lj@2") == ("lj", 2)
    assert (store.next_version("lj"), store.next_version("new")) == (11, 1)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nothing", "no model 'nothing' in the store; it has: lj"),
        ("", "no model '' in the store"),
        ("..", "no model '..' in the store"),
        ("../lj", "no model '../lj' in the store"),
        ("lj@4", "model 'lj' has no version '4'; it has: 3"),
        ("lj@../3", "model 'lj' has no version '../3'"),
        ("lj@" + "9" * 5000, "model 'lj' has no version '9"),
    ],
)
def test_an_unknown_reference_says_what_there_is(store, folder, reference, message):
    with pytest.raises(UnknownModel) as caught:
        store.load(reference)
    assert message in str(caught.value)


def test_a_store_that_is_not_there_has_no_models(tmp_path):
    with pytest.raises(UnknownModel, match="it has: none"):
        ModelStore(tmp_path / "missing").load("lj")


def test_versions_are_immutable(store, card, folder):
    with pytest.raises(ModelExists, match="lj@3 is published already"), store.publish(card):
        pytest.fail("the version was checked too late")
    assert (store.load("lj").folder / ARTIFACT).read_bytes() == b"weights"


def test_of_two_publishers_at_once_one_wins(store, card):
    at_work = threading.Barrier(2, timeout=60)
    outcomes: list[str] = []

    def publish(word: str) -> None:
        try:
            with store.publish(card) as publication:
                (publication.folder / ARTIFACT).write_text(word)
                at_work.wait()
            outcomes.append(word)
        except ModelExists:
            outcomes.append("refused")

    threads = [threading.Thread(target=publish, args=(word,)) for word in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = set(outcomes) - {"refused"}
    assert sorted(outcomes) == sorted([winner, "refused"])
    assert (store.load("lj").folder / ARTIFACT).read_text() == winner
    assert leftovers(store) == []


def test_nothing_is_seen_before_the_block_ends(store, card):
    with store.publish(card) as publication:
        (publication.folder / ARTIFACT).write_bytes(b"half")
        assert store.names() == []
        with pytest.raises(UnknownModel):
            store.load("lj")
    assert store.names() == ["lj"]


def _publish_and_fail(store: ModelStore, card: ModelCard, error: BaseException) -> None:
    with store.publish(card) as publication:
        (publication.folder / ARTIFACT).write_bytes(b"half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), OSError("disk full")])
def test_a_failed_block_leaves_nothing(store, card, error):
    with pytest.raises(type(error)):
        _publish_and_fail(store, card, error)
    assert store.names() == []
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def _publish_and_die(root: Path, card: ModelCard) -> None:
    with ModelStore(root).publish(card) as publication:
        (publication.folder / ARTIFACT).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_publisher_that_is_killed_leaves_no_version(store, card):
    process = multiprocessing.get_context("spawn").Process(
        target=_publish_and_die, args=(store.root, card)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(leftovers(store)) == 1
    assert store.names() == []
    with store.publish(card):
        pass
    assert store.load("lj").card.version == 3


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda folder: (folder / ARTIFACT).write_bytes(b"weightz"),
            rf"{ARTIFACT}: sha256 \w+… differs from the card's",
        ),
        (lambda folder: (folder / ARTIFACT).write_bytes(b""), "sha256 e3b0c44298fc… differs"),
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing"),
        (lambda folder: (folder / CARD).unlink(), f"{CARD} is missing"),
        (lambda folder: (folder / CARD).write_text("{"), f"{CARD} is no model card: Invalid JSON"),
        (lambda folder: (folder / CARD).write_bytes(b"\xff\xfe"), f"{CARD} is no model card"),
        (
            lambda folder: ((folder / CARD).unlink(), (folder / CARD).mkdir()),
            f"{CARD} cannot be read: Is a directory",
        ),
        (lambda folder: edit(folder, version=4), "its card is of lj@4"),
        (lambda folder: edit(folder, name="other"), "its card is of other@3"),
        (
            lambda folder: edit(folder, format_version=2),
            f"{CARD} is no model card: Input should be 1",
        ),
        (
            lambda folder: edit(folder, surprise=1),
            f"{CARD} is no model card: Extra inputs are not permitted",
        ),
        (
            lambda folder: edit(folder, backend="onnx", files={}),
            f"its card has no digest of {ARTIFACT}",
        ),
    ],
)
def test_a_corrupt_version_is_refused_with_the_reason(store, folder, break_it, message):
    break_it(folder)
    with pytest.raises(CorruptModel, match=message):
        store.load("lj")


def edit(folder: Path, **changes) -> None:
    content = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(content | changes))


def test_other_models_are_loaded_beside_a_corrupt_one(store, card, folder):
    (folder / ARTIFACT).unlink()
    with store.publish(card.model_copy(update={"name": "sound"})):
        pass
    assert store.names() == ["lj", "sound"]
    assert store.load("sound").card.name == "sound"


def test_a_changed_card_has_another_digest(store, folder):
    before = store.load("lj").digest
    edit(folder, description="something else")
    assert store.load("lj").digest != before
