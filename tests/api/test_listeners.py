"""Addresses are taken before anything else is done, or refused in a line."""

import socket
from collections.abc import Iterator

import pytest

from app.api.listeners import bound
from app.cli.main import main


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


def test_all_addresses_of_a_host_have_one_port() -> None:
    listeners = bound("localhost", 0)
    ports = {listener.getsockname()[1] for listener in listeners}
    for listener in listeners:
        listener.close()
    assert listeners
    assert len(ports) == 1


def test_a_port_that_is_taken_is_named_with_the_remedy(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    told = rf"port {port} of 127\.0\.0\.1 is taken by another process; choose another one \(--port"
    with pytest.raises(OSError, match=told):
        bound("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1 cannot be listened on: .* \(--host or"):
        bound("192.0.2.1", 0)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_service_does_not_begin_where_its_port_is_taken(
    taken: socket.socket, processes: str, capfd: pytest.CaptureFixture[str]
) -> None:
    port = taken.getsockname()[1]
    assert main(["serve", "--port", str(port), "--processes", processes]) == 1
    assert capfd.readouterr().err == (
        f"equipot serve: port {port} of 127.0.0.1 is taken by another process; choose another one "
        "(--port or EQUIPOT_PORT; 0 takes a free one)\n"
    )
