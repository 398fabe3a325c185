"""The client and the command line with keys."""

import asyncio
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from ase import Atoms

from app.cli.main import main
from equipot import (
    AsyncClient,
    Client,
    EquipotCalculator,
    Forbidden,
    Overloaded,
    RateLimited,
    Retry,
    Unauthorized,
)
from tests.access.issued import issue
from tests.api.server import Running, running
from tests.client.answering import OK, answering, refusal
from tests.client.conftest import url

ARGON = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]])


def secret_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture(scope="module")
def keyed(
    pair_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, str]]:
    """A server that wants keys, and one that may predict."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    secret = secret_of(issue(file, "one", "predict"))
    with running(pair_store, api_keys_file=file) as server:
        yield server, secret


def test_a_key_goes_with_everything(keyed: tuple[Running, str]) -> None:
    server, secret = keyed
    with Client(url(server), api_key=secret) as client:
        energy = client.predict(ARGON)[0].energy
        assert [result.energy for result in client.stream([ARGON])] == [energy]
        assert client.models()
        for same in (copy.copy(client), pickle.loads(pickle.dumps(client))):
            assert same.predict(ARGON)[0].energy == energy
        assert secret not in repr(client.config)
        with pytest.raises(Forbidden, match="the scope 'jobs'"):
            client.jobs.list()
        atoms = ARGON.copy()
        atoms.calc = EquipotCalculator(client=client)
        assert atoms.get_potential_energy() == pytest.approx(energy)

    async def ask() -> float:
        async with AsyncClient(url(server), api_key=secret) as client:
            assert [result.energy async for result in client.stream([ARGON])] == [energy]
            return float((await client.predict(ARGON))[0].energy)

    assert asyncio.run(ask()) == energy


def test_it_is_that_of_the_environment_unless_one_is_given(
    keyed: tuple[Running, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, secret = keyed
    monkeypatch.delenv("EQUIPOT_API_KEY", raising=False)
    with Client(url(server)) as client, pytest.raises(Unauthorized, match="a key is wanted"):
        client.predict(ARGON)
    monkeypatch.setenv("EQUIPOT_API_KEY", secret)
    with Client(url(server)) as client:
        assert client.predict(ARGON).ok
    with Client(url(server), api_key="wrong") as client, pytest.raises(Unauthorized) as refused:
        list(client.stream([ARGON]))
    assert (refused.value.code, refused.value.status) == ("unauthorized", 401)
    own = {"authorization": "Bearer wrong"}
    with Client(url(server), headers=own) as client, pytest.raises(Unauthorized):
        client.predict(ARGON)
    with pytest.raises(ValueError, match="api_key: printable"):
        Client(api_key="one\r\nX: y")


def test_a_service_that_says_wait_is_asked_again() -> None:
    slow = refusal(429, "rate_limited", Retry_After="0")
    quick = Retry(attempts=3, first_wait=0.001, longest_wait=0.01)
    with answering(slow, OK) as server, Client(server.url, retry=quick) as client:
        assert client.predict(Atoms("Ar"))[0].energy == 1.0
    with answering(slow) as server, Client(server.url, retry=quick) as client:
        with pytest.raises(RateLimited) as refused:
            client.predict(Atoms("Ar"))
        assert isinstance(refused.value, Overloaded)


def test_the_command_line_sends_the_same(
    keyed: tuple[Running, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, secret = keyed
    given, found = tmp_path / "given.xyz", tmp_path / "found.xyz"
    ARGON.write(given, format="extxyz")
    ask = ["predict", str(given), "--server", url(server), "--output", str(found)]
    monkeypatch.delenv("EQUIPOT_API_KEY", raising=False)
    assert main(ask) == 3
    assert "unauthorized: a key is wanted" in capsys.readouterr().err
    monkeypatch.setenv("EQUIPOT_API_KEY", secret)
    assert main(ask) == 0
    assert "energy=" in found.read_text()
    assert main(["jobs", "list", "--server", url(server)]) == 1
    assert "forbidden: key 'one' may not do this" in capsys.readouterr().err
