"""A store with something hostile or broken in it: it is refused with the reason, and nothing else
is hurt.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.store.card import ModelCard
from app.store.store import CARD, ModelStore
from tests.api.server import ARGON, Running, running


def published(root: Path, card: ModelCard, name: str, version: int = 1) -> Path:
    with ModelStore(root).publish(card.model_copy(update={"name": name, "version": version})):
        pass
    return root / name / str(version)


def edit(folder: Path, **changes: object) -> None:
    content = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(content | changes))


def replace_card(folder: Path, make: Callable[[Path], object]) -> None:
    (folder / CARD).unlink()
    make(folder / CARD)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "many-members": lambda f: edit(f, backend="onnx", members=10**9),
    "elsewhere": lambda f: edit(f, files={"../../../etc/passwd": "0" * 64}),
    "heavy": lambda f: edit(f, atomic_energies={"Ar": 1e308}),
    "wide": lambda f: edit(f, cutoff=1e5, receptive_field=1e5),
    "doubled": lambda f: edit(f, elements=["Ar", "Ar"]),
    "infinite": lambda f: (f / CARD).write_text((f / CARD).read_text().replace("6.0", "1e999")),
    "deep": lambda f: (f / CARD).write_text('{"metrics":' + '{"a":' * 50_000),
    "binary": lambda f: (f / CARD).write_bytes(b"\xff\xfe\x00"),
    "huge": lambda f: os.truncate(f / CARD, 1 << 40),
    "folder": lambda f: replace_card(f, Path.mkdir),
    "pipe": lambda f: replace_card(f, os.mkfifo),
    "loop": lambda f: replace_card(f, lambda path: path.symlink_to(path)),
    "device": lambda f: replace_card(f, lambda path: path.symlink_to("/dev/zero")),
    "empty": lambda f: (f / CARD).write_bytes(b""),
    "gone": lambda f: (f / CARD).unlink(),
}


def reload(service: Running) -> None:
    models = service.server.service.models
    asyncio.run_coroutine_threadsafe(models.reload(), service.server.loop).result(60)


@pytest.fixture
def root(tmp_path: Path, pair_card: ModelCard) -> Path:
    """A store with a good version, all of `HOSTILE`, and folders of odd names."""
    root = tmp_path / "store"
    published(root, pair_card, "pairs")
    for name, spoil in HOSTILE.items():
        spoil(published(root, pair_card, name))
    shutil.copytree(root / "pairs" / "1", root / "pairs" / ("9" * 26))
    shutil.copytree(root / "pairs" / "1", root / "pairs" / "0003")
    os.makedirs(os.path.join(os.fsencode(root), b"\xff\xfe", b"1"))
    (root / "round").symlink_to(root / "round")
    (root / "pairs" / "7").symlink_to(root / "pairs" / "7")
    (root / "README").write_text("models")
    return root


def test_each_costs_itself_alone(root: Path, pair_card: ModelCard) -> None:
    with running(root, log_level="error") as service:
        listed = service.client.get("/models")
        assert listed.status_code == 200
        states = {m["name"]: m for m in listed.json()["models"] if m["name"] != "pairs"}
        assert {m["status"] for m in states.values()} == {"refused"}
        assert set(states) == {*HOSTILE, "\\udcff\\udcfe"}
        assert all(m["reason"] for m in states.values())
        of_pairs = [m for m in listed.json()["models"] if m["name"] == "pairs"]
        assert [(m["version"], m["status"]) for m in of_pairs] == [
            (1, "ready"),
            (None, "refused"),
            (None, "refused"),
        ]
        assert service.predict(ARGON).json()["model"]["version"] == 1
        for name in HOSTILE:
            answer = service.predict({**ARGON, "model": name})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "corrupt_model"
        published(root, pair_card, "pairs", 2)
        reload(service)
        assert service.predict(ARGON).json()["model"]["version"] == 2
        assert service.client.get("/models").status_code == 200


def test_a_strange_version_keeps_no_old_one(tmp_path: Path, pair_card: ModelCard) -> None:
    """Where only the newest is wanted, what is no version does not count as its replacement."""
    published(tmp_path, pair_card, "pairs")
    (tmp_path / "pairs" / "007").mkdir()
    with running(tmp_path, models="pairs", log_level="error") as service:
        published(tmp_path, pair_card, "pairs", 2)
        reload(service)
        served = [m for m in service.client.get("/models").json()["models"] if m["version"]]
        assert [(m["version"], m["status"]) for m in served] == [(2, "ready")]


def test_a_wanted_model_whose_version_is_none_is_refused(pair_store: Path) -> None:
    with running(pair_store, models=f"pairs,pairs@{'9' * 30}", log_level="error") as service:
        answer = service.client.get("/models")
        assert answer.status_code == 200
        assert [m["status"] for m in answer.json()["models"]] == ["ready", "refused"]
        assert service.predict(ARGON).status_code == 200
