"""Streams against a real server: any number of structures, a bounded number of them under way."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from ase import Atoms

from equipot import (
    AsyncClient,
    Client,
    ConnectionFailed,
    Overloaded,
    Retry,
    Smiles,
    StructureTooLarge,
    UnknownModel,
)
from tests.api.server import Running, running
from tests.client.answering import answering, refusal
from tests.client.conftest import url

QUICK = Retry(attempts=4, first_wait=0.001, longest_wait=0.01)


def argon(number: int) -> Atoms:
    return Atoms("Ar2", [[0, 0, 0], [0, 0, 3.5 + number / 10_000]], info={"id": number})


def test_each_structure_has_its_result(client: Client) -> None:
    results = list(client.stream(argon(i) for i in range(3000)))
    assert sorted(result.index for result in results) == list(range(3000))
    assert all(result.id == str(result.index) for result in results)
    one = results[1234]
    assert one.atoms.get_distance(0, 1) == pytest.approx(3.5 + one.index / 10_000)


def test_no_more_are_taken_than_the_window_has(client: Client) -> None:
    taken = 0

    def structures() -> Iterator[Atoms]:
        nonlocal taken
        for number in range(500):
            taken += 1
            yield argon(number)

    given = most = 0
    for _ in client.stream(structures(), window=20):
        most = max(most, taken - given)
        given += 1
    assert given == taken == 500
    assert most <= 21 + 64  # what one part of the answer had of results


def test_errors_and_warnings_are_those_of_their_structures(client: Client) -> None:
    deuterium = {"symbols": ["D", "H"], "positions": [[0, 0, 0], [0, 0, 1.1]], "id": "d"}
    odd = argon(1)
    odd.info["charge"] = 0.5
    given = [argon(0), Atoms("Au"), deuterium, odd, Smiles("O", id="water"), "CCO"]
    results = {result.index: result for result in client.stream(given)}
    assert [results[i].ok for i in range(6)] == [True, False, True, False, True, True]
    assert [each.code for each in results[2].warnings] == ["isotope_ignored"]
    assert not any(results[i].warnings for i in (0, 5))
    assert len(results[4].atoms) == 3


def test_options_are_those_of_all(client: Client) -> None:
    results = list(client.stream([argon(0), argon(1)], relax={"fmax": 1e-3}, model="pairs@1"))
    assert all(result.relaxation.converged for result in results)
    assert results[0].model.version == 1
    with pytest.raises(UnknownModel):
        next(client.stream([argon(0)], model="nothing"))


def test_a_file_is_read_record_by_record(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "many.xyz"
    file.write_text("".join(f"2\nid={i}\nAr 0 0 0\nAr 0 0 3.9\n" for i in range(300)))
    assert len({result.id for result in client.stream(file, window=10)}) == 300


def test_whoever_stops_taking_stops_the_stream(client: Client) -> None:
    stream = client.stream(argon(i) for i in range(10**9))
    assert next(stream).ok
    stream.close()
    assert client.predict(argon(0))[0].ok


def test_what_raises_while_structures_are_taken_is_raised(client: Client) -> None:
    def structures() -> Iterator[Atoms]:
        yield argon(0)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(client.stream(structures()))


def test_nothing(client: Client) -> None:
    assert list(client.stream([])) == []


def test_too_large_a_line_is_told(pair_store: Path) -> None:
    with running(pair_store, max_body_bytes=2000) as server, pytest.raises(StructureTooLarge):
        list(Client(url(server)).stream([Atoms("Ar1000")]))


def test_on_an_event_loop(service: Running) -> None:
    async def structures() -> AsyncIterator[Atoms]:
        for number in range(1000):
            yield argon(number)

    async def ask() -> list[int]:
        async with AsyncClient(url(service)) as client:
            found = [result.index async for result in client.stream(structures(), window=50)]
            assert len(await client.predict([argon(i) for i in range(400)])) == 400
            return found

    assert sorted(asyncio.run(ask())) == list(range(1000))


def lines(*documents: dict) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


BEGIN = {"status": "begin", "model": {"name": "pairs", "version": 1, "digest": "0"}, "units": {}}


def ok(item: int) -> dict:
    return {"id": None, "status": "ok", "item": item, "energy": float(item)}


def test_a_stream_that_breaks_goes_on_with_what_is_missing() -> None:
    broken = {"status": "broken", "error": {"code": "unavailable", "message": "shutting down"}}
    answers = [
        refusal(503, "unavailable"),
        (200, {}, lines(BEGIN, ok(2), ok(0), broken)),
        None,
        (200, {}, lines(BEGIN, ok(1), ok(0), {"status": "end", "structures": 2, "errors": 0})),
    ]
    with answering(*answers) as server, Client(server.url, retry=QUICK) as client:
        results = list(client.stream([argon(i) for i in range(4)]))
        assert [result.index for result in results] == [2, 0, 3, 1]
        sent = [[json.loads(line)["id"] for line in body.splitlines()] for body in server.seen]
    assert sent == [["0", "1", "2", "3"], ["0", "1", "2", "3"], ["1", "3"], ["1", "3"]]


def test_not_for_ever() -> None:
    with answering(refusal(429, "overloaded")) as server, Client(server.url, retry=QUICK) as client:
        with pytest.raises(Overloaded):
            list(client.stream([argon(0)]))
        assert len(server.seen) == 4
    with pytest.raises(ConnectionFailed):
        list(client.stream([argon(0)]))


def test_what_has_several_results_is_not_sent_again() -> None:
    cut = (200, {}, lines(BEGIN, ok(0)))
    with answering(cut) as server, Client(server.url, retry=QUICK) as client:
        with pytest.raises(ConnectionFailed, match="files and SMILES with several results"):
            list(client.stream([Smiles("CCO", conformers=3)]))
        assert len(server.seen) == 1
