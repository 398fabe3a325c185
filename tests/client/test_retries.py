"""What is sent again, after how long, and what is not."""

import asyncio

import pytest
from ase import Atoms

from equipot import (
    AsyncClient,
    Client,
    ConnectionFailed,
    CorruptModel,
    InvalidRequest,
    Overloaded,
    Retry,
    ServiceError,
    TimedOut,
)
from equipot.request import Wait, attempts
from tests.client.answering import OK, answering, refusal

ARGON = Atoms("Ar")
QUICK = Retry(attempts=4, first_wait=0.001, longest_wait=0.01)
BUSY = refusal(429, "overloaded", Retry_After="1")
STARTING = refusal(503, "unavailable")


@pytest.mark.parametrize("before", [[BUSY], [STARTING, BUSY], [None], [None, STARTING]])
def test_what_passes_is_tried_again(before) -> None:
    with answering(*before, OK) as server, Client(server.url, retry=QUICK) as client:
        assert client.predict(ARGON)[0].energy == 1.0
        assert len(server.seen) == len(before) + 1
        assert len(set(server.seen)) == 1


def test_without_blocking_too() -> None:
    async def ask(url: str) -> float:
        async with AsyncClient(url, retry=QUICK) as client:
            return (await client.predict(ARGON))[0].energy

    with answering(BUSY, None, OK) as server:
        assert asyncio.run(ask(server.url)) == 1.0
        assert len(server.seen) == 3


def test_not_for_ever() -> None:
    with answering(BUSY) as server, Client(server.url, retry=QUICK) as client:
        with pytest.raises(Overloaded, match="told"):
            client.predict(ARGON)
        assert len(server.seen) == QUICK.attempts


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(422, "invalid_request"), InvalidRequest),
        (refusal(503, "corrupt_model"), CorruptModel),
        (refusal(500, "internal"), ServiceError),
        ((502, {}, b"<html>no gateway"), ServiceError),
    ],
)
def test_what_does_not_pass_is_not(answer, error) -> None:
    with answering(answer) as server, Client(server.url, retry=QUICK) as client:
        with pytest.raises(error):
            client.predict(ARGON)
        assert len(server.seen) == 1


def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    with answering(OK) as server:
        gone = server.url
    with pytest.raises(ConnectionFailed, match=f"^{gone} does not answer: "):
        Client(gone.replace("//", "//me:secret@"), retry=QUICK).models()
    (told,) = caplog.messages
    assert told.startswith(f"{gone} does not answer: ")
    assert told.endswith(f"; {QUICK}")
    assert "secret" not in told


def test_nobody_there_for_a_stream(caplog: pytest.LogCaptureFixture) -> None:
    with answering(OK) as server:
        gone = server.url
    with pytest.raises(ConnectionFailed, match=f"^{gone}/predict: the stream ended before"):
        list(Client(gone, retry=QUICK).stream([ARGON]))
    (told,) = caplog.messages
    assert told.startswith(f"{gone}/predict: the stream ended before all had been answered: ")
    assert told.endswith(f"; {QUICK}")


def test_what_is_tried_again_is_told_in_words() -> None:
    told = "it is tried again up to 7 times, with waits of 64 s in all"
    assert str(Retry()) == told
    assert "up to 2 times, with waits of 2 s" in str(
        Retry(attempts=3, first_wait=1, longest_wait=1)
    )


def test_a_busy_service_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level("INFO", "equipot"),
        answering(BUSY, BUSY, OK) as server,
        Client(server.url, retry=QUICK) as client,
    ):
        client.predict(ARGON)
    (told,) = [record for record in caplog.records if record.name == "equipot"]
    assert told.levelname == "INFO"
    assert told.getMessage().startswith(f"{server.url}: ")


def test_a_silent_service_is_not_asked_twice(silent) -> None:
    url, accepted = silent
    with pytest.raises(TimedOut):
        Client(url, timeout=0.1, retry=QUICK).models()
    assert len(accepted) == 1


def test_waits_are_as_the_service_says_and_bounded() -> None:
    retry = Retry(first_wait=1.0, longest_wait=30.0)
    assert all(5.0 <= retry.seconds(1, "5") <= 6.25 for _ in range(100))
    assert retry.seconds(1, "3600") == 30.0
    assert all(0.5 <= retry.seconds(1) <= 1.0 for _ in range(100))
    assert all(15.0 <= retry.seconds(20) <= 30.0 for _ in range(100))
    assert retry.seconds(1, "Wed, 21 Oct 2026 07:28:00 GMT") <= 1.0


def test_a_submission_has_the_same_key_each_time() -> None:
    created = "2026-11-29T01:09:47.349962Z"
    job = (
        b'{"id": "a", "state": "queued", "structures": 1, "done": 0, "failed": 0, "left": 1, "rate": null,'
        b'"eta_seconds": null, "started": null, "ended": null, "created": "%s", "estimate": {"seconds": '
        b'null}, "model": {"name": "pairs", "version": 1, "digest": "0"}}' % created.encode()
    )
    taken = (202, {"Content-Type": "application/json"}, job)
    with answering(None, BUSY, taken) as server, Client(server.url, retry=QUICK) as client:
        assert client.jobs.submit([ARGON]).id == "a"
        assert len(set(server.seen)) == len(set(server.keys)) == 1
        assert server.keys[0]


def test_a_wait_is_between_two_attempts() -> None:
    def call():
        yield "request"

    steps = attempts(call(), Retry(), "http://here")
    assert next(steps) == "request"
    import httpx

    assert isinstance(steps.send(httpx.ConnectError("refused")), Wait)
    assert steps.send(None) == "request"
