"""Webhooks: who is told of a job's end, signed by Standard Webhooks (standardwebhooks.com).

A service that sends requests to addresses that anybody may name could be made to ask what only it
can reach. So the address that a name stands for has to be a public one, unless a setting allows
others, and what is connected to is that very address, and no redirect is followed.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import logging
import secrets
import socket
import ssl
import threading
import time
from urllib.parse import SplitResult, urlsplit

from app.errors import InvalidRequest
from app.jobs.job import Job
from app.jobs.shown import shown

LONGEST_URL = 2000
TIMEOUT = 10.0
"""Seconds for each step of telling one."""
WHOLE_TIMEOUT = 30.0
"""Seconds for all of it, of one that answers byte by byte."""
SECRET_BYTES = 24
NAT64 = ipaddress.ip_network("64:ff9b::/96")
PORTS = {"http": 80, "https": 443}

log = logging.getLogger(__name__)


def new_secret() -> str:
    """A secret for one job's signatures."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """Of what is told: `v1,` and base64 of HMAC-SHA256 of id, time and body, joined by dots."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def is_public(address: str) -> bool:
    """Whether anybody may reach an address, so that a service may be sent there by anybody."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is not None:
            return is_public(str(inner))
        if ip.packed[:12] == bytes(12):  # an IPv4 address in the deprecated form
            return False
        if ip in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
    return ip.is_global and not ip.is_multicast


class Webhooks:
    """Tells webhooks of the ends of jobs. Its methods block.

    Args:
        allows_private: whether addresses in private networks may be told.
        keep_days: days that a job is kept after its end.
    """

    def __init__(self, allows_private: bool, keep_days: float) -> None:
        self._allows_private, self._keep_days = allows_private, keep_days

    def check(self, url: str) -> None:
        """Whether a webhook may be told.

        Raises:
            InvalidRequest: it is no URL of HTTP, or no public address.
        """
        self._address(self._parsed(url))

    def tell(self, job: Job) -> bool:
        """Tell the webhook of a job that it has ended; whether it took that."""
        assert job.webhook is not None
        assert job.webhook_secret is not None
        event = {"done": "job.done", "cancelled": "job.cancelled"}[job.state]
        told = shown(job, self._keep_days).model_dump_json(exclude={"webhook"})
        body = f'{{"type":"{event}","data":{told}}}'.encode()
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "equipot",
            "webhook-id": f"{job.id}.{event}",
            "webhook-timestamp": str(now),
            "webhook-signature": signature(job.webhook_secret, f"{job.id}.{event}", now, body),
        }
        try:
            status = self._post(job.webhook, body, headers)
        except (OSError, http.client.HTTPException, InvalidRequest) as error:
            log.warning("job %s: its webhook cannot be told: %s", job.id, error)
            return False
        if not 200 <= status < 300:
            log.warning("job %s: its webhook answered %d", job.id, status)
        return 200 <= status < 300

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        parts = self._parsed(url)
        connection = _Pinned(parts, self._address(parts))
        late = threading.Timer(WHOLE_TIMEOUT, connection.cut)
        late.start()
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, headers)
            return connection.getresponse().status
        finally:
            late.cancel()
            connection.close()

    def _parsed(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            is_sound = parts.scheme in PORTS and parts.hostname and parts.port != 0
        except ValueError:
            is_sound = False
        if not is_sound or len(url) > LONGEST_URL or not url.isascii() or not url.isprintable():
            raise InvalidRequest(f"webhook: '{url[:80]}' is no URL of http or https")
        if parts.username is not None or " " in url:
            raise InvalidRequest("webhook: a URL without user and spaces is expected")
        return parts

    def _address(self, parts: SplitResult) -> str:
        """The address of the URL's host."""
        assert parts.hostname is not None
        port = parts.port or PORTS[parts.scheme]
        try:
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise InvalidRequest(
                f"webhook: '{parts.hostname[:80]}' is not known: {error}"
            ) from None
        addresses = [str(each[4][0]) for each in found]
        if not self._allows_private and not all(map(is_public, addresses)):
            raise InvalidRequest(
                f"webhook: '{parts.hostname[:80]}' is in a private network; "
                "EQUIPOT_WEBHOOK_PRIVATE allows that"
            )
        return addresses[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked up and checked before."""

    def __init__(self, parts: SplitResult, address: str) -> None:
        port = parts.port or PORTS[parts.scheme]
        super().__init__(str(parts.hostname), port, timeout=TIMEOUT)
        self._address = address
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def cut(self) -> None:
        """End it, whoever waits for what comes over it."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def connect(self) -> None:
        """Connect to the address, and speak TLS with the name where that is asked."""
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)
