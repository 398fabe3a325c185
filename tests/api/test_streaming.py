"""Streams of lines through a real server, over sockets: what a client sees, and in which order."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from app.formats import extxyz
from tests.api.server import ARGON, CRYSTAL, Gated, Running, running

LINES = {"content-type": "application/x-ndjson"}


def body(*items: Any) -> bytes:
    return b"".join(
        (item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in items
    )


def ask(service: Running, content: bytes, url: str = "", **headers: str) -> list[Any]:
    answer = service.client.post(f"/predict{url}", content=content, headers=LINES | headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


@contextmanager
def open_stream(service: Running) -> Iterator[tuple[socket.socket, Iterator[Any]]]:
    """A stream that was begun: the socket for chunks of the body, and the lines that come back."""
    with socket.socket() as client, client.makefile("rb") as file:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", service.port))
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        yield client, _lines(file)


def _lines(file: IO[bytes]) -> Iterator[Any]:
    assert file.readline().startswith(b"HTTP/1.1 200")
    while file.readline().strip():
        pass
    rest = b""
    while size := int(file.readline(), 16):
        *whole, rest = (rest + file.read(size)).split(b"\n")
        file.readline()
        yield from map(json.loads, whole)
    assert not rest


def send(client: socket.socket, *items: Any) -> None:
    data = body(*items)
    client.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def test_each_line_has_its_results_and_the_last_one_says_how_many(service: Running) -> None:
    bad = {"symbols": ["Si"], "positions": [[0, 0, 0]], "id": "bad"}
    heavy = {"symbols": ["D", "H"], "positions": [[0, 0, 0], [0, 0, 0.8]], "id": "heavy"}
    two = {"format": "xyz", "content": "1\n\nAr 0 0 0\n1\nid=b\nAr 0 0 0\n", "id": "file"}
    content = body({**ARGON, "id": "a"}, bad, b"", b"nonsense", heavy, two)
    first, *lines, last = ask(service, content, "?properties=energy")
    assert first["status"] == "begin"
    assert first["model"]["name"] == "pairs"
    assert last == {"status": "end", "structures": 6, "errors": 2}
    by_item = sorted((line["item"], line["status"], line["id"]) for line in lines if line["id"])
    assert by_item == [
        (0, "ok", "a"),
        (1, "error", "bad"),
        (4, "ok", "heavy"),
        (4, "warning", "heavy"),
        (5, "ok", "file:0"),
        (5, "ok", "file:b"),
    ]
    (torn,) = (line for line in lines if line["id"] is None)
    assert (torn["item"], torn["error"]["code"]) == (3, "invalid_format")
    (warning,) = (line["warning"] for line in lines if line["status"] == "warning")
    assert warning["code"] == "isotope_ignored"


def test_results_are_those_of_one_request(service: Running) -> None:
    structures = [
        {"numbers": [18, 18], "positions": [[0, 0, 0], [0, 0, 3.5 + 0.01 * i]], "id": str(i)}
        for i in range(200)
    ]
    _, *lines, last = ask(service, body(*structures))
    assert last["structures"] == 200
    found = {line["id"]: line["energy"] for line in lines}
    for start in range(0, 200, 20):
        for result in service.predict({"structures": structures[start : start + 20]}).json()[
            "results"
        ]:
            assert found[result["id"]] == pytest.approx(result["energy"], abs=1e-9)


def test_options_stand_in_the_query(service: Running) -> None:
    _, line, _ = ask(service, body(CRYSTAL), "?cell=isotropic&fmax=0.01&model=pairs@1")
    assert line["relaxed"]["converged"]
    formats = ("?format=poscar", "?format=json", "?format=csv&properties=forces")
    for url in (*formats, "?model=none", "?steps=many", "?x=1", "?seed=2"):
        answer = service.client.post(f"/predict{url}", content=body(ARGON), headers=LINES)
        assert answer.status_code in (404, 422)


def test_results_come_while_the_body_is_open(service: Running) -> None:
    with open_stream(service) as (client, lines):
        send(client, {**ARGON, "id": "first"})
        assert next(lines)["status"] == "begin"
        assert next(lines)["id"] == "first"
        send(client, {**ARGON, "id": "second"})
        assert next(lines)["id"] == "second"
        client.sendall(b"0\r\n\r\n")
        assert next(lines) == {"status": "end", "structures": 2, "errors": 0}
        assert next(lines, None) is None


def test_records_of_other_formats_stream_too(service: Running) -> None:
    content = body(*({**ARGON, "id": str(i)} for i in range(5)))
    answer = service.client.post("/predict?format=xyz", content=content, headers=LINES)
    assert {frame.id for frame in extxyz.parse(answer.text)} == set("01234")
    answer = service.client.post("/predict?format=csv", content=content, headers=LINES)
    assert len(answer.text.splitlines()) == 6


def test_another_body_is_answered_in_lines(service: Running) -> None:
    structures = {"structures": [{**ARGON, "id": str(i)} for i in range(5)]}
    answer = service.predict(structures, headers={"accept": "application/x-ndjson"})
    first, *lines, last = [json.loads(line) for line in answer.text.splitlines()]
    assert (first["status"], last["structures"]) == ("begin", 5)
    assert {line["id"] for line in lines} == set("01234")


def test_a_line_over_the_limit_ends_the_stream_and_says_so(service: Running) -> None:
    first, good, last = ask(service, body(ARGON, b" " * 300_000))
    assert (first["status"], good["status"], last["status"]) == ("begin", "ok", "broken")
    assert last["error"]["code"] == "too_large"


def test_a_line_has_the_limits_of_a_request(service: Running) -> None:
    large = {"numbers": [18] * 1001, "positions": [[4.0 * i, 0, 0] for i in range(1001)]}
    frames = {"content": "1\n\nAr 0 0 0\n" * 21, "id": "many"}
    _, *lines, last = ask(service, body(large, frames, ARGON))
    assert last == {"status": "end", "structures": 3, "errors": 2}
    codes = {line["item"]: line.get("error", {}).get("code") for line in lines}
    assert codes == {0: "too_large", 1: "too_large", 2: None}


def test_compressed_streams_are_refused(service: Running) -> None:
    headers = LINES | {"content-encoding": "gzip"}
    answer = service.client.post("/predict", content=b"x", headers=headers)
    assert answer.status_code == 415


def test_silence_ends_a_stream(pair_store: Path) -> None:
    with running(pair_store, body_timeout=0.2) as server, open_stream(server) as (client, lines):
        send(client, ARGON)
        seen = list(lines)
    assert [line["status"] for line in seen] == ["begin", "ok", "broken"]
    assert "no further part of the body came for 0.2 s" in seen[-1]["error"]["message"]


def test_a_shutdown_answers_what_was_read_and_says_so(pair_store: Path) -> None:
    with running(pair_store) as server, open_stream(server) as (client, lines):
        send(client, ARGON)
        assert [next(lines)["status"], next(lines)["status"]] == ["begin", "ok"]
        server.terminate()
        (last,) = lines
    assert (last["status"], last["error"]["code"]) == ("broken", "unavailable")


def test_a_full_queue_makes_a_stream_wait_and_fails_nothing(
    gated: tuple[Running, Gated],
) -> None:
    server, _ = gated
    _, *lines, last = ask(server, body(*[ARGON] * 50))
    assert last == {"status": "end", "structures": 50, "errors": 0}
    assert len(lines) == 50


def test_a_slow_reader_slows_only_itself(pair_store: Path) -> None:
    limits = {"batch_structures": 8, "batch_atoms": 1000, "batch_edges": 100_000}
    with running(pair_store, **limits) as server, open_stream(server) as (client, lines):
        large = {"numbers": [18] * 400, "positions": [[4.0 * i, 0, 0] for i in range(400)]}
        sending = threading.Thread(target=_send_all, args=(client, large, 4000))
        sending.start()
        assert next(lines)["status"] == "begin"
        for _ in range(20):  # others are answered while nobody takes the stream's results
            assert server.predict(ARGON).status_code == 200
        assert sending.is_alive()  # 20 MB, which no buffer holds: the server has stopped to read
        assert {next(lines)["status"] for _ in range(300)} == {"ok"}
        client.shutdown(socket.SHUT_RDWR)
        sending.join(60)


def _send_all(client: socket.socket, item: Any, count: int) -> None:
    with contextlib.suppress(OSError):
        for _ in range(count):
            send(client, item)


def test_a_client_that_leaves_costs_nothing_more(gated: tuple[Running, Gated]) -> None:
    server, backend = gated
    backend.close()
    with open_stream(server) as (client, lines):
        send(client, ARGON, ARGON, ARGON)
        assert next(lines)["status"] == "begin"
        assert backend.entered.wait(60)
    server.wait_for('equipot_requests_total{method="POST",route="/predict",status="200"}', 1.0)
    backend.gate.set()
    assert server.predict(ARGON).status_code == 200
