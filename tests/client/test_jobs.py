"""Jobs of a real server, submitted, watched and read."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from ase import Atoms

from equipot import (
    AsyncClient,
    Cancelled,
    Client,
    InvalidStructure,
    JobConflict,
    Smiles,
    UnknownJob,
    UnknownTask,
    UnsupportedElement,
)
from tests.api.server import Running
from tests.client.conftest import url

XYZ = "2\nid=%d\nAr 0 0 0\nAr 0 0 3.6\n"


def argon(number: int) -> Atoms:
    return Atoms("Ar2", [[0, 0, 0], [0, 0, 3.5 + number / 10_000]], info={"id": number})


def test_from_an_iterator_to_results(client: Client) -> None:
    count = 3000
    submitted = client.jobs.submit(argon(i) for i in range(count))
    ended = client.jobs.wait(submitted, progress=True)
    assert (ended.state, ended.done, ended.failed, ended.left) == ("done", count, 0, 0)
    assert ended.is_over
    with pytest.raises(TypeError, match="a function is told the stages"):
        client.jobs.wait(submitted, progress=print)  # type: ignore[arg-type]
    results = list(client.jobs.results(submitted.id))
    assert [result.id for result in results] == [str(i) for i in range(count)]
    assert results[7].index == 7
    with pytest.raises(ValueError, match="hand the structures"):
        results[7].atoms.get_potential_energy()
    later = client.jobs.results(ended, offset=2990, structures=[argon(i) for i in range(count)])
    for result in later:
        assert result.atoms.get_distance(0, 1) == pytest.approx(3.5 + result.index / 10_000)
    assert submitted.id in {job.id for job in client.jobs.list()}
    assert client.jobs.list(state="queued", limit=5) == []


def test_results_and_events_come_while_it_runs(client: Client) -> None:
    job = client.jobs.submit((argon(i) for i in range(800)), relax={"fmax": 1e-5}, key="relaxed")
    assert (
        client.jobs.submit((argon(i) for i in range(800)), relax={"fmax": 1e-5}, key="relaxed").id
        == job.id
    )
    with pytest.raises(JobConflict):
        client.jobs.submit([argon(0)], key="relaxed")
    assert sum(result.relaxation.converged for result in client.jobs.results(job)) == 800
    *_, last = client.jobs.events(job)
    assert last.state == "done"


def test_a_file_is_sent_as_it_is_or_record_by_record(client: Client, tmp_path: Path) -> None:
    xyz, smiles = tmp_path / "many.xyz", tmp_path / "some.smi"
    xyz.write_text("".join(XYZ % i for i in range(50)))
    smiles.write_text("O water\nCO methanol\n")
    for file, names in ((xyz, [str(i) for i in range(50)]), (smiles, ["water", "methanol"])):
        job = client.jobs.submit(file, model="pairs@1")
        assert [result.id for result in client.jobs.results(job)] == names
        assert client.jobs.get(job).model.version == 1


def test_each_structure_has_its_error(client: Client) -> None:
    job = client.jobs.submit([argon(0), Atoms("Au"), Smiles("O", id="w")])
    first, second, third = client.jobs.results(job)
    assert first.ok
    assert isinstance(second.error, UnsupportedElement)
    assert third.ok
    ended = client.jobs.wait(job)
    assert (ended.done, ended.failed) == (2, 1)


def test_what_cannot_be_sent_submits_nothing(client: Client) -> None:
    odd = argon(1)
    odd.info["charge"] = 0.5
    with pytest.raises(InvalidStructure, match="no whole number"):
        client.jobs.submit([argon(0), odd])
    with pytest.raises(ValueError, match="structures: 0"):
        client.jobs.submit([])
    with pytest.raises(UnknownJob):
        client.jobs.get("nothing")


def test_cancelled(client: Client) -> None:
    job = client.jobs.submit((argon(i) for i in range(20_000)), relax={"fmax": 1e-9, "steps": 1000})
    ended = client.jobs.cancel(job)
    assert ended.state == "cancelled"
    assert client.jobs.wait(job).is_over
    results = list(client.jobs.results(job))
    known = [result for result in results if not isinstance(result.error, Cancelled)]
    assert len(known) == ended.done + ended.failed


def test_on_an_event_loop(service: Running) -> None:
    def structures() -> Iterator[Atoms]:
        return (argon(i) for i in range(600))

    async def ask() -> int:
        async with AsyncClient(url(service)) as client:
            job = await client.jobs.submit(structures())
            assert (await client.jobs.wait(job)).done == 600
            assert (await client.jobs.get(job.id)).state == "done"
            assert (await client.jobs.list(limit=1))[0].id == job.id
            assert (await client.jobs.cancel(job)).state == "done"
            assert len(await client.models()) == 2
            assert (await client.model("pairs"))["status"] == "ready"
            assert (await client.relax(argon(0)))[0].relaxation.converged
            return len([result async for result in client.jobs.results(job)])

    assert asyncio.run(ask()) == 600


def test_tasks(client: Client, tmp_path: Path) -> None:
    asked = {"atoms": [0, 1], "range_A": (3.5, 4.5), "points": 3}
    file = tmp_path / "two.xyz"
    file.write_text(XYZ % 0 + XYZ % 1)
    for structures in ([argon(0), argon(1)], file):
        job = client.jobs.submit(structures, task="scan", model="pairs@1", **asked)
        assert job.task == "scan"
        found = [result.value for result in client.jobs.results(job)]
        assert [len(value["energies_eV"]) for value in found if value] == [3, 3]
    with pytest.raises(UnknownTask):
        client.jobs.submit(argon(0), task="No Task")
