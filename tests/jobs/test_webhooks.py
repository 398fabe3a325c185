"""Who may be told of a job's end, and what is told."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.jobs.leases import Progress
from app.jobs.webhooks import Webhooks, is_public, new_secret, signature
from tests.jobs.stores import MODEL, Scene


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_addresses_that_anybody_may_reach(address: str, expected: bool) -> None:
    assert is_public(address) is expected


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:8000/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::127.0.0.1]/",
    ],
)
def test_private_addresses_are_refused_however_they_are_written(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"EQUIPOT_WEBHOOK_PRIVATE|is not known"):
        Webhooks(False, 30).check(url)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "example.org", "http://", "http://a:b@example.org/", "http://a/\n", "x"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="webhook: "):
        Webhooks(True, 30).check(url)


def test_signatures_are_those_of_the_standard() -> None:
    # The example of standardwebhooks.com's libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert new_secret() != new_secret()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what comes."""

    status = 204
    seen: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@contextmanager
def receiver(status: int = 204) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The URL of a receiver, and what it gets."""
    kind = type("One", (Receiver,), {"status": status, "seen": []})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?a=b", kind.seen  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def ended(scene: Scene, url: str) -> Any:
    job = scene.create(1, webhook=url, webhook_secret=new_secret())
    leases = scene.leases("a")
    lease = leases.take([MODEL])
    assert lease is not None
    leases.finish(lease.place, "0.a", 1, Progress(4, 1, True))
    leases.end_jobs()
    return scene.store.get(job.id)


def test_what_is_told_is_signed(scene: Scene) -> None:
    with receiver() as (url, seen):
        job = ended(scene, url)
        assert Webhooks(True, 30).tell(job)
    ((headers, body),) = seen
    told = json.loads(body)
    assert told["type"] == "job.done"
    assert (told["data"]["id"], told["data"]["done"], told["data"]["failed"]) == (job.id, 4, 1)
    assert job.webhook_secret not in body.decode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(job.webhook_secret.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


@pytest.mark.parametrize("status", [302, 410, 500])
def test_only_success_counts_and_no_redirect_is_followed(scene: Scene, status: int) -> None:
    with receiver(status) as (url, seen):
        assert not Webhooks(True, 30).tell(ended(scene, url))
    assert len(seen) == 1


def test_one_that_is_not_there_or_private_is_not_told(scene: Scene) -> None:
    with receiver() as (url, seen):
        assert not Webhooks(False, 30).tell(ended(scene, url))
        assert seen == []
    assert not Webhooks(True, 30).tell(ended(scene, "http://127.0.0.1:1/"))
