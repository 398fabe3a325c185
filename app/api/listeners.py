"""Addresses that a server listens on, taken before anything else is done for it."""

import errno
import os
import socket
from contextlib import ExitStack

ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors of an address of a host that this machine does not have, as of IPv6; another one will do."""


def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets of all addresses of a host; they do not listen yet.

    Args:
        host: its name or address.
        port: of all; 0 takes a free one.

    Raises:
        OSError: the port is taken, or none of the addresses can be; says so, and what to do.
    """
    try:
        return _bound(host, port)
    except OSError as error:
        raise OSError(error.errno, _told(error, host, port)) from None


def _bound(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = [*dict.fromkeys((family, address) for family, *_, address in found)]
    with ExitStack() as stack:
        listeners: list[socket.socket] = []
        absent: OSError | None = None
        for family, address in addresses:
            try:
                listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                _bind(listener, (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
                continue
            port = listener.getsockname()[1]
            listeners.append(listener)
        if not listeners and absent is not None:
            raise absent
        stack.pop_all()
    return listeners


def _bind(listener: socket.socket, address: tuple[object, ...]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(address)


def _told(error: OSError, host: str, port: int) -> str:
    remedy = "choose another one (--port or EQUIPOT_PORT; 0 takes a free one)"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken by another process; {remedy}"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} may not be taken by this user; {remedy}"
    reason = error.strerror or os.strerror(error.errno or 0)
    return (
        f"{host} cannot be listened on: {reason}; choose another address (--host or EQUIPOT_HOST)"
    )
