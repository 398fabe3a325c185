"""Bodies that nobody would send by accident: an error of their own, and nobody else waits."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import ormsgpack
import pytest

from tests.api.server import ARGON, Running, running

MSGPACK = "application/x-msgpack"
GENEROUS = 10.0
"""Seconds that somebody else's small request may take beside any of these, on any machine; 50 ms
are aimed at, and measured by `tests/soak/beside.py`.
"""


@pytest.fixture(scope="module")
def service(pair_store: Path) -> Iterator[Running]:
    """A server with the limits that it has by default."""
    with running(pair_store, log_level="error") as server:
        yield server


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


MILLION = 1_000_000
BODIES = {
    "symbols that are numbers": f'{{"positions":[[0,0,0]],"symbols":[{"1," * MILLION}1]}}',
    "numbers that are texts": '{"positions":[[0,0,0]],"numbers":[' + '"x",' * MILLION + '"x"]}',
    "positions that are texts": '{"symbols":["Ar"],"positions":[' + '"x",' * MILLION + '"x"]}',
    "pairs in place of triples": '{"symbols":["Ar"],"positions":['
    + "[0,0]," * (MILLION // 2)
    + "[0,0]]}",
    "unknown fields": "{" + ",".join(f'"k{i}":1' for i in range(500_000)) + "}",
    "properties": f'{{"structures":[{json.dumps(ARGON)}],"properties":[{"1," * MILLION}1]}}',
    "fixed": f'{{"symbols":["Ar"],"positions":[[0,0,0]],"fixed":[{"1.5," * MILLION}1]}}',
    "texts with colons": '{"symbols":["Ar"],"positions":[[0,0,0]],"id":"'
    + r"\":" * (MILLION // 2)
    + '"}',
    "nested positions": f'{{"symbols":["Ar"],"positions":{nested(1000)}}}',
    "nested model": f'{{"symbols":["Ar"],"positions":[[0,0,0]],"model":{nested(1000)}}}',
    "nested beyond reason": nested(100_000),
}


class Probe:
    """Small requests, one after the other, and the longest that one of them took."""

    def __init__(self, port: int) -> None:
        self.longest = 0.0
        self._stop = threading.Event()
        self._port = port

    def run(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60) as client:
            while not self._stop.is_set():
                began = time.perf_counter()
                assert client.post("/predict", json=ARGON).status_code == 200
                self.longest = max(self.longest, time.perf_counter() - began)

    def __enter__(self) -> "Probe":
        self._pool = ThreadPoolExecutor(1)
        self._running = self._pool.submit(self.run)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._running.result(60)
        self._pool.shutdown()


@pytest.mark.parametrize("name", BODIES)
def test_it_is_refused_and_nobody_waits_for_it(service: Running, name: str) -> None:
    json_type = {"content-type": "application/json"}
    with Probe(service.port) as probe:
        response = service.client.post("/predict", content=BODIES[name], headers=json_type)
    assert 400 <= response.status_code < 500
    assert len(response.content) < 4000
    assert response.json()["error"]["message"]
    assert probe.longest < GENEROUS


def test_a_nested_structure_costs_only_itself(service: Running) -> None:
    culprit = {**ARGON, "positions": json.loads(nested(900))}
    response = service.predict({"structures": [ARGON, culprit, ARGON]})
    assert [r["status"] for r in response.json()["results"]] == ["ok", "error", "ok"]


@pytest.mark.parametrize("shape", [[], [1, 2, 3], [2, 2]])
def test_an_array_of_an_odd_shape_costs_only_itself(service: Running, shape: list[int]) -> None:
    size = 8 * int(bool(shape) or 1)
    for length in shape:
        size *= length
    odd = {**ARGON, "positions": {"dtype": "<f8", "shape": shape, "data": bytes(size)}}
    content = ormsgpack.packb({"structures": [ARGON, odd]})
    headers = {"content-type": MSGPACK, "accept": "application/json"}
    response = service.client.post("/predict", content=content, headers=headers)
    assert [r["status"] for r in response.json()["results"]] == ["ok", "error"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"symbols":["Ar"],"positions":[[0,0,0]],"symbols":["Ne"]}', "symbols: stands twice"),
        (r'{"symbols":["Ar"],"positions":[[0,0,0]],"\u0069d":"a","id":"b"}', "id: stands twice"),
        (
            '{"structures":[{"symbols":["Ar"],"positions":[[0,0,0]]},'
            '{"symbols":["Ar"],"positions":[[0,0,0]],"cell":null,"cell":null}]}',
            "cell: stands twice",
        ),
        ('{"symbols":["Ar"],"positions":[[0,0,0]],"relax":{"steps":1,"steps":2}}', "steps: stands"),
    ],
)
def test_a_key_that_stands_twice(service: Running, body: str, told: str) -> None:
    response = service.client.post("/predict", content=body)
    assert response.status_code == 422
    assert told in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x83\xa2id\xa1a\xa7numbers\x91\x12\xa2id\xa1b", "stands twice"),
        (ormsgpack.packb(ARGON) + b"\x01", "goes on after"),
    ],
)
def test_messagepack_has_no_more_than_it_says(service: Running, content: bytes, told: str) -> None:
    response = service.client.post("/predict", content=content, headers={"content-type": MSGPACK})
    assert response.status_code == 422
    assert told in response.json()["error"]["message"]


def test_a_text_that_looks_like_a_key_is_none(service: Running) -> None:
    structure = {**ARGON, "id": '"numbers": , "numbers":'}
    assert service.predict(structure).json()["results"][0]["id"] == structure["id"]


def test_a_query_parameter_that_stands_twice(service: Running) -> None:
    response = service.client.post(
        "/predict?relax=true&relax=false",
        content="1\n\nAr 0 0 0\n",
        headers={"content-type": "chemical/x-xyz"},
    )
    assert response.status_code == 422
    assert "relax: is given twice" in response.json()["error"]["message"]


def test_a_byte_order_mark_is_skipped(service: Running) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(ARGON).encode()
    assert service.client.post("/predict", content=content).status_code == 200


def test_true_relaxes_with_the_defaults(service: Running) -> None:
    results: list[Any] = service.predict({**ARGON, "relax": True}).json()["results"]
    assert results[0]["relaxed"]["converged"]
    assert "relaxed" not in service.predict({**ARGON, "relax": False}).json()["results"][0]
