"""Gate: who comes in, whatever carries the request."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.access.caller import CALLER
from app.access.keyring import Keyring
from app.access.keys import Key, Scope
from app.errors import Forbidden, InvalidRequest, Unauthorized

HOW = "send one as `Authorization: Bearer KEY` (`equipot keys add` makes them)"
LOCAL = "localhost"


class Gate:
    """Lets requests in by their keys; belongs to one event loop.

    Args:
        path: of the file of keys; None lets everybody in.

    Raises:
        InvalidRequest: the file is not there, cannot be read, or is none of keys.
    """

    def __init__(self, path: Path | None) -> None:
        self._keyring = None if path is None else Keyring(path)

    @property
    def wants_keys(self) -> bool:
        """Whether nobody comes in without a key."""
        return self._keyring is not None

    def key(self, authorization: str | None) -> Key | None:
        """The key that a request comes with; None where nobody needs one.

        Args:
            authorization: the field of this name, as in HTTP.

        Raises:
            Unauthorized: no key, or none that is known.
        """
        if self._keyring is None:
            return None
        key = self._keyring.find(_secret(authorization))
        if key is None:
            raise Unauthorized(f"the key is not known, or was revoked; {HOW}")
        return key

    @contextmanager
    def request(self, key: Key | None, scope: Scope | None) -> Iterator[None]:
        """One request with a key, for the length of a block; what it asks meanwhile is the key's.

        Args:
            key: of the request.
            scope: that the key needs; None for any key.

        Raises:
            Forbidden: the key has not this scope.
            RateLimited: it asks too often, or for too much at a time.
        """
        if self._keyring is None or key is None:
            yield
            return
        if not key.may(scope):
            raise Forbidden(
                f"key '{key.name}' may not do this: it needs the scope '{scope}' and has "
                f"{', '.join(sorted(key.scopes))}; ask the operator for another key"
            )
        if CALLER.get() == key.caller:  # a request that one of the same key makes, as /mcp does
            yield
            return
        with self._keyring.allowance(key).request(key):
            token = CALLER.set(key.caller)
            try:
                yield
            finally:
                CALLER.reset(token)

    def check_address(self, host: str, allow_anonymous: bool) -> None:
        """Whether the service may listen there.

        Raises:
            InvalidRequest: others than this machine may reach it, nobody needs a key, and nothing
                says that this is meant.
        """
        if self.wants_keys or allow_anonymous or is_local(host):
            return
        raise InvalidRequest(
            f"setting host: {host or 'all addresses'} can be reached from other machines, and "
            "nobody needs a key; set EQUIPOT_API_KEYS_FILE, listen on 127.0.0.1, or set "
            "EQUIPOT_ALLOW_ANONYMOUS=true where everybody who reaches it may ask"
        )


def _secret(authorization: str | None) -> str:
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized(f"a key is wanted; {HOW}")
    return secret.strip()


def is_local(host: str) -> bool:
    """Whether a host is this machine, by its address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == LOCAL
