"""HTTP as real clients speak it, and as nobody should."""

import gzip
import json
import signal
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.api.server import ARGON, Gated, Running, running

BODY = json.dumps(ARGON).encode()
JSON = {"content-type": "application/json"}


def head(*lines: str, length: int = len(BODY), version: str = "1.1") -> bytes:
    first = [f"POST /predict HTTP/{version}", f"Content-Length: {length}", *lines]
    return "\r\n".join([*first, "", ""]).encode()


def talk(service: Running, *parts: bytes, shut: bool = False) -> bytes:
    """What the service says to these parts, until it closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(0.02)  # so that it is a packet of its own
        if shut:
            client.shutdown(socket.SHUT_WR)
        said = b""
        while part := client.recv(65_536):
            said += part
        return said


UPGRADE = ("Host: x", "Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c")


class TestUpgrade:
    @pytest.mark.parametrize("cut", [0, 1, len(BODY) // 2, len(BODY)])
    def test_an_offered_upgrade_loses_no_body(self, service: Running, cut: int) -> None:
        request = head(*UPGRADE, "HTTP2-Settings: AAMAAABkAAQAAP__")
        said = talk(service, request + BODY[:cut], BODY[cut:])
        assert said.startswith(b"HTTP/1.1 200"), said
        assert b'"status":"ok"' in said

    def test_nor_a_chunked_one(self, service: Running) -> None:
        lines = ["POST /predict HTTP/1.1", *UPGRADE, "Transfer-Encoding: chunked", "", ""]
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
        said = talk(service, "\r\n".join(lines).encode(), chunks)
        assert b'"status":"ok"' in said

    def test_and_the_next_request_on_the_connection_is_read(self, service: Running) -> None:
        offer = head("Host: x", "Connection: Upgrade", "Upgrade: h2c")
        said = talk(service, offer + BODY, head("Host: x", "Connection: close") + BODY)
        assert said.count(b'"status":"ok"') == 2

    def test_nor_has_a_length_of_zeros(self, service: Running) -> None:
        lines = ["POST /predict HTTP/1.1", *UPGRADE, "Content-Length: 00", "", ""]
        assert talk(service, "\r\n".join(lines).encode()).startswith(b"HTTP/1.1 422")

    def test_a_get_has_none(self, service: Running) -> None:
        lines = ["GET /livez HTTP/1.1", *UPGRADE, "", ""]
        assert talk(service, "\r\n".join(lines).encode()).startswith(b"HTTP/1.1 200")


class TestHeaders:
    def test_large_ones_are_refused(self, service: Running) -> None:
        said = talk(service, head("Host: x", "X-A: " + "a" * 70_000))
        assert said.startswith(b"HTTP/1.1 431")
        assert b"request_header_fields_too_large" in said

    def test_many_are_refused(self, service: Running) -> None:
        assert talk(service, head("Host: x", *["X-A: a"] * 200) + BODY).startswith(b"HTTP/1.1 431")

    def test_endless_ones_are_cut(self, service: Running) -> None:
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nX-A: ")
            sent = 0
            try:
                while sent < 50_000_000:
                    sent += client.send(b"a" * 65_536)
            except OSError:
                pass
            assert sent < 50_000_000

    def test_endless_trailers_are_cut(self, service: Running) -> None:
        lines = ["POST /predict HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", ""]
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
            client.sendall("\r\n".join(lines).encode())
            client.sendall(b"%x\r\n%s\r\n0\r\nX-A: " % (len(BODY), BODY))
            sent = 0
            try:
                while sent < 50_000_000:
                    sent += client.send(b"a" * 65_536)
            except OSError:
                pass
            assert sent < 50_000_000

    @pytest.mark.parametrize("hosts", [[], ["Host: x", "Host: y"]])
    def test_one_host_is_wanted(self, service: Running, hosts: list[str]) -> None:
        assert talk(service, head(*hosts) + BODY).startswith(b"HTTP/1.1 400")
        assert b'"status":"ok"' in talk(service, head(version="1.0") + BODY)

    def test_what_is_no_http_is_told_in_json(self, service: Running) -> None:
        assert b'"bad_request"' in talk(service, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")

    def test_a_long_content_type_is_not_echoed(self, service: Running) -> None:
        kind = {"content-type": "x" * 60_000}
        response = service.client.post("/predict", content=BODY, headers=kind)
        assert response.status_code == 415
        assert len(response.content) < 800


class TestConnections:
    @pytest.fixture
    def small(self, pair_store: Path) -> Iterator[Running]:
        limits = {"max_connections": 4, "header_timeout": 2.0, "models": "pairs@2"}
        with running(pair_store, log_level="error", **limits) as server:
            yield server

    def test_health_checks_have_room_and_slow_clients_lose_theirs(self, small: Running) -> None:
        small.client.close()
        idle = [socket.create_connection(("127.0.0.1", small.port), timeout=30) for _ in range(4)]
        idle[0].sendall(b"POST /predict HT")
        assert talk(small, b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert b"too_many_connections" in talk(small, head("Host: x") + BODY)
        for client in idle:
            assert client.recv(100) == b""
            client.close()
        answer = talk(small, head("Host: x", "Connection: close") + BODY)
        assert b'"status":"ok"' in answer
        metrics = talk(small, b"GET /metrics HTTP/1.0\r\n\r\n").decode()
        assert 'equipot_connections_refused_total{reason="slow"} 4.0' in metrics
        assert 'equipot_connections_refused_total{reason="full"} 1.0' in metrics

    def test_a_body_as_a_whole_has_a_deadline(self, pair_store: Path) -> None:
        with (
            running(pair_store, models="pairs@2", receive_timeout=0.3) as service,
            socket.create_connection(("127.0.0.1", service.port), timeout=30) as client,
        ):
            client.sendall(head("Host: x", length=1000))
            stop = threading.Event()

            def trickle() -> None:
                while not stop.wait(0.05):
                    client.sendall(b" ")

            with ThreadPoolExecutor(1) as pool:
                pool.submit(trickle)
                said = client.recv(1000)
                stop.set()
            assert said.startswith(b"HTTP/1.1 408")
            assert b"the whole body did not come within 0.3 s" in said

    def test_bodies_share_a_room(self, pair_store: Path) -> None:
        limits = {"models": "pairs@2", "max_bodies_bytes": 1000}
        with (
            running(pair_store, **limits) as service,
            socket.create_connection(("127.0.0.1", service.port), timeout=30) as first,
        ):
            first.sendall(head("Host: x", length=950) + b" " * 949)
            for _ in range(1000):  # until the first one's body is there
                refused = service.client.post("/predict", content=BODY, headers=JSON)
                if refused.status_code == 429:
                    break
            assert refused.status_code == 429
            assert "max_bodies_bytes" in refused.json()["error"]["message"]
            first.sendall(b" ")
            assert first.recv(1000).startswith(b"HTTP/1.1 422")
            assert service.client.post("/predict", content=BODY).status_code == 200

    def test_a_client_that_has_closed_its_sending_side_is_answered(self, service: Running) -> None:
        said = talk(service, head("Host: x") + BODY, shut=True)
        assert said.startswith(b"HTTP/1.1 200")

    def test_also_where_the_answer_takes_a_while(self, gated: tuple[Running, Gated]) -> None:
        service, backend = gated
        backend.close()
        with ThreadPoolExecutor(1) as pool:
            said = pool.submit(talk, service, head("Host: x") + BODY, shut=True)
            assert backend.entered.wait(60)
            time.sleep(0.5)
            backend.gate.set()
            assert b'"status":"ok"' in said.result(60)


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
    )
    def test_compressed_bodies_are_read(
        self, service: Running, encoding: str, compress: Any
    ) -> None:
        headers = JSON | {"content-encoding": encoding}
        response = service.client.post("/predict", content=compress(BODY), headers=headers)
        assert response.json()["results"][0]["status"] == "ok"

    def test_members_that_were_joined_are_read_one_after_the_other(self, service: Running) -> None:
        headers = JSON | {"content-encoding": "gzip"}
        packed = gzip.compress(BODY[:30]) + gzip.compress(BODY[30:])
        response = service.client.post("/predict", content=packed, headers=headers)
        assert response.json()["results"][0]["status"] == "ok"
        for tail in (packed[:-9], packed + b"junk"):
            response = service.client.post("/predict", content=tail, headers=headers)
            assert response.status_code == 422

    @pytest.mark.parametrize(
        ("encoding", "content", "status", "told"),
        [
            ("br", b"x", 415, "send gzip"),
            ("gzip", b"no gzip at all", 422, "no gzip"),
            ("gzip", gzip.compress(BODY)[:-12], 422, "truncated"),
            ("gzip", gzip.compress(bytes(10**8)), 413, "max_body_bytes"),
        ],
        ids=["unknown", "none", "truncated", "bomb"],
    )
    def test_others_are_not(
        self, service: Running, encoding: str, content: bytes, status: int, told: str
    ) -> None:
        headers = JSON | {"content-encoding": encoding}
        response = service.client.post("/predict", content=content, headers=headers)
        assert response.status_code == status
        assert told in response.json()["error"]["message"]

    def test_large_answers_are_compressed_for_whoever_takes_it(
        self, service: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.api.routes.common.COMPRESSED", 10_000)
        many = {"numbers": [18] * 400, "positions": [[5.0 * i, 0, 0.1 * i] for i in range(400)]}
        body = {"structures": [many, many], "properties": ["forces", "energies"]}
        plain = service.predict(body, headers={"accept-encoding": "identity"})
        packed = service.predict(body, headers={"accept-encoding": "gzip, br"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.json() == plain.json()
        small = service.predict(ARGON, headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in small.headers


class TestOrigins:
    def test_pages_of_others_may_not_ask(self, service: Running) -> None:
        for kind in ("text/plain", "application/json"):
            headers = {"origin": "https://evil.example", "content-type": kind}
            response = service.client.post("/predict", content=BODY, headers=headers)
            assert response.status_code == 403
        for origin in ("null", "http://[", "x"):
            assert service.predict(ARGON, headers={"origin": origin}).status_code == 403
        own = {"origin": f"http://127.0.0.1:{service.port}"}
        assert service.predict(ARGON, headers=own).status_code == 200
        assert service.client.options("/predict").status_code == 405

    def test_unless_they_are_allowed(self, pair_store: Path) -> None:
        page = "https://page.example"
        with running(pair_store, models="pairs@2", cors_origins=page) as service:
            asked = {"origin": page, "access-control-request-method": "POST"}
            preflight = service.client.options("/predict", headers=asked)
            assert preflight.headers["access-control-allow-origin"] == page
            answer = service.predict(ARGON, headers={"origin": page})
            assert answer.headers["access-control-allow-origin"] == page
            other = service.predict(ARGON, headers={"origin": "https://other.example"})
            assert other.status_code == 403


def test_nothing_redirects(service: Running) -> None:
    response = service.client.post("/predict/", content=BODY, headers={"host": "equipot.example"})
    assert response.status_code == 404
    assert "location" not in response.headers


def test_readiness_says_whose_it_is(service: Running) -> None:
    ready = service.client.get("/readyz").json()
    assert ready["service"] == "equipot"
    assert ready["version"]
    assert ready["process"] > 0


def test_what_outlasts_the_shutdown_is_told_so(pair_store: Path) -> None:
    relax = {"fmax": 1e-300, "steps": 10**9}
    far = {"numbers": [18] * 5, "positions": [[3.9 * i, i % 2, 0.1 * i * i] for i in range(5)]}
    limits = {"models": "pairs@2", "drain_timeout": 2.0, "max_relax_steps": 10**9}
    with running(pair_store, log_level="error", **limits) as service:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(service.predict, {"structures": [far], "relax": relax})
            service.wait_for("equipot_connections", 2)
            time.sleep(0.2)
            service.server.handle_exit(signal.SIGTERM, None)
            assert service.client.get("/readyz").status_code == 503
            assert service.client.post("/predict", content=BODY).status_code == 503
            cut = answer.result(60)
        assert cut.status_code == 503
        assert cut.json()["error"]["code"] == "unavailable"
