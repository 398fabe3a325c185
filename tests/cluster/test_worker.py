"""A worker in this process, with the bundled pair model."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from app.cluster.portions import Portion
from app.cluster.screen import CAREFUL, HOPELESS, Task
from app.cluster.shipping import PackedModel
from app.cluster.worker import Assignment, Done, Usage, Worker
from app.errors import BackendError, CorruptModel, Unavailable
from app.protocol.intake import Drawing
from app.protocol.request import PredictRequest
from app.protocol.tally import Tally
from app.settings import Settings
from app.store.store import ModelStore

TWO = b"2\nid=a\nAr 0 0 0\nAr 0 0 3.9\n1\nid=b\nXe 0 0 0\n"


@pytest.fixture
def assignment(pair_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assignment:
    monkeypatch.setenv("EQUIPOT_CACHE", str(tmp_path / "cache"))
    packed = PackedModel.of(ModelStore(pair_store).load("pairs"))
    settings = Settings(model_store=pair_store, threads=1)
    return Assignment(packed, PredictRequest(entries=[]), Drawing(), "xyz", settings)


def test_one_by_one_is_the_same_as_a_whole(assignment: Assignment) -> None:
    portion = Portion(0, "two.xyz", "xyz", TWO)

    async def both() -> tuple[Done, Done]:
        worker = Worker()
        await worker.start(assignment)
        results = [await worker.one(portion, 0), await worker.one(portion, 1)]
        assert await worker.one(portion, 2) is None
        return await worker.screen(portion), await worker.written(portion, results)

    whole, single = asyncio.run(both())
    assert whole.content == single.content
    assert b"code=unsupported_element" in whole.content
    assert whole.tally == single.tally
    assert (whole.tally.structures, whole.tally.refused.total()) == (2, 1)


def test_versions_that_differ_are_named(assignment: Assignment) -> None:
    other = dataclasses.replace(assignment, version="9.9.9")
    with pytest.raises(Unavailable, match=r"equipot .* this screen is of equipot 9\.9\.9; install"):
        asyncio.run(Worker().start(other))


def test_a_model_that_was_changed_on_the_way_is_refused(assignment: Assignment, tmp_path) -> None:
    packed = dataclasses.replace(assignment.model, digest="0" * 64)
    with pytest.raises(CorruptModel, match="holds another model than was sent"):
        packed.unpacked(tmp_path)
    assert assignment.model.unpacked(tmp_path).digest == assignment.model.digest
    assert assignment.model.unpacked(None).digest == assignment.model.digest


def run(task: Task) -> tuple[Done, int]:
    """Take a task to its end, as a screen does, and how many workers that took."""
    deaths = 0
    while True:
        if task.results is None or (not task.is_answered and len(task.results) == 1):
            deaths += 1
            task.die()
            continue
        if task.is_answered:
            done = task.take(Done(b"", Tally(), Usage(1, "here", 0, 0.0)))
            return done, deaths
        assert task.take("answer" if len(task.results) < 3 else None) is None


def test_a_structure_that_ends_workers_costs_itself_alone() -> None:
    task = Task(Portion(0, "x", "xyz", b""))
    _, deaths = run(task)
    assert deaths == CAREFUL + HOPELESS
    first, second, third = task.results
    assert (first, third) == ("answer", "answer")
    assert isinstance(second, BackendError)
