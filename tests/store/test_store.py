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
from app.store.files import FILE_BYTES
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
            f"{CARD} is no regular file",
        ),
        (lambda folder: edit(folder, version=4), "its card is of lj@4"),
        (lambda folder: edit(folder, name="other"), "its card is of other@3"),
        (
            lambda folder: edit(folder, format_version=2),
            f"{CARD} is no model card: format_version: Input should be 1",
        ),
        (
            lambda folder: edit(folder, surprise=1),
            f"{CARD} is no model card: surprise: Extra inputs are not permitted",
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


def link_out(folder: Path, name: str) -> None:
    """Put a link to a file with the same content elsewhere in the place of a file."""
    elsewhere = folder.parents[1] / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)


def loop(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(folder / name)


def pipe(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def swell(folder: Path, name: str) -> None:
    os.truncate(folder / name, FILE_BYTES + 1)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (link_out, "is a link out of its folder"),
        (loop, "cannot be read"),
        (pipe, "is no regular file"),
        (swell, "bytes; at most"),
    ],
)
@pytest.mark.parametrize("name", [CARD, ARTIFACT])
def test_what_is_no_file_of_the_version_is_not_read(store, folder, break_it, message, name):
    break_it(folder, name)
    with pytest.raises(CorruptModel, match=f"{name} .*{message}"):
        store.load("lj")


def test_a_link_within_the_version_is_followed(store, folder):
    (folder / ARTIFACT).rename(folder / "blob")
    (folder / ARTIFACT).symlink_to("blob")
    assert store.load("lj").card.name == "lj"


@pytest.mark.parametrize(
    "name", ["../../../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\\b", "", ".hidden"]
)
def test_files_have_plain_names(store, folder, name):
    edit(folder, files={name: "0" * 64})
    with pytest.raises(CorruptModel, match=r"no model card: files\."):
        store.load("lj")


def test_a_deep_card_is_refused(store, folder):
    nested = "[" * 100_000 + "]" * 100_000
    (folder / CARD).write_text(
        (folder / CARD).read_text().replace('"metrics": {}', f'"metrics": {{"a": {nested}}}')
    )
    with pytest.raises(CorruptModel, match="no model card: Invalid JSON: recursion limit"):
        store.load("lj")


@pytest.mark.parametrize("members", [65, 10**9, 10**30])
def test_members_are_counted_before_anything_is_made_of_them(store, folder, members):
    edit(folder, backend="onnx", members=members)
    with pytest.raises(CorruptModel, match="members: Input should be"):
        store.load("lj")


@pytest.mark.parametrize(
    ("members", "message"),
    [(3, "no digest of model-2.onnx"), (1, "members: 1, but lists model-1.onnx, model.onnx")],
)
def test_there_are_as_many_members_as_artifacts(store, folder, members, message):
    edit(
        folder,
        backend="onnx",
        members=members,
        files=dict.fromkeys(("model.onnx", "model-1.onnx"), "0" * 64),
    )
    with pytest.raises(CorruptModel, match=message):
        store.load("lj")


class TestOddFolders:
    """What else may lie in a store."""

    @pytest.mark.parametrize("name", ["9" * 26, "0", "03", "-1", "٣", "1e3", "2.0"])
    def test_that_are_no_versions(self, store, folder, name):
        odd = store.root / "lj" / name
        odd.mkdir()
        (odd / CARD).write_text("{}")
        assert store.versions("lj") == [3]
        assert store.load("lj").card.version == 3
        assert store.strays() == {
            f"lj@{name}": "a version is a number from 1 to 999999999, without zeros before it"
        }
        with pytest.raises(UnknownModel, match="it has: 3"):
            store.load(f"lj@{name}")

    @pytest.mark.parametrize("name", [b"Upper", b"a b", b"\xff\xfe", b"line\nbreak", b"-", b"x@1"])
    def test_whose_names_no_model_can_have(self, store, folder, name):
        os.mkdir(os.path.join(os.fsencode(store.root), name))
        os.mkdir(os.path.join(os.fsencode(store.root), name, b"1"))
        assert store.names() == ["lj"]
        ((reference, reason),) = store.strays().items()
        assert reference.isprintable()
        assert reference.endswith("@1")
        assert "the name of a model has lower-case letters" in reason

    def test_loops_of_links_and_files_are_passed_over(self, store, folder):
        (store.root / "loop").symlink_to(store.root / "loop")
        (store.root / "file").write_text("")
        (store.root / "lj" / "4").symlink_to(store.root / "lj" / "4")
        (store.root / "lj" / "5").write_text("")
        (store.root / ".publishing-x").mkdir()
        assert store.names() == ["lj"]
        assert store.versions("lj") == [3]
        assert store.strays() == {}

    def test_that_cannot_be_read_cost_themselves(self, store, folder, monkeypatch):
        (store.root / "shut").mkdir()
        scan = os.scandir

        def refuse(path):
            if Path(path).name == "shut":
                raise PermissionError(13, "Permission denied")
            return scan(path)

        monkeypatch.setattr(os, "scandir", refuse)
        assert store.names() == ["lj"]
        assert store.strays() == {"shut": "its folder cannot be read: Permission denied"}


def test_nothing_is_published_that_would_be_refused(store, card):
    with (
        pytest.raises(CorruptModel, match="cutoff"),
        store.publish(card.model_copy(update={"cutoff": 1e6})),
    ):
        pass
    assert store.names() == []


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
