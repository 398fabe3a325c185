"""Keys: their names, what they may do, and the hashes by which their secrets are known."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.access.caller import Caller

Scope: TypeAlias = Literal["predict", "jobs", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "equipot_"
"""How secrets begin, so that those who look for secrets in texts know them."""
SECRET_BYTES = 32
"""Of a secret, at random: too many to guess, so that a quick hash keeps it."""


EXPECTED = {
    "name": "1 to 64 letters, digits, dots, dashes and underscores",
    "sha256": "the SHA-256 of a secret, 64 digits from 0 to f",
    "scopes": f"some of {', '.join(SCOPES)}",
    "rate": "requests a minute, a whole number from 1 on",
    "concurrency": "requests at a time, a whole number from 1 on",
    "share": "a part of the queue, above 0 and at most 1",
    "created": "a moment, as in 2026-11-29T12:00:00Z",
}
"""What each field of a key may be, in words."""
SHOWN = 80
"""Characters of a value that a message repeats."""


class Key(BaseModel):
    """A key as its file holds it; its secret is known to whoever has it alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the secret")
    scopes: frozenset[Scope] = Field(min_length=1, description="what it may do")
    rate: int | None = Field(default=None, ge=1, description="requests a minute; none: any number")
    concurrency: int | None = Field(
        default=None, ge=1, description="requests at a time; none: any number"
    )
    share: float = Field(default=1.0, gt=0, le=1, description="of a model's queue")
    created: datetime

    @classmethod
    def make(
        cls,
        name: str,
        scopes: Iterable[str],
        rate: int | None = None,
        concurrency: int | None = None,
        share: float = 1.0,
    ) -> tuple[Self, str]:
        """A new key and its secret, which is nowhere else.

        Raises:
            ValidationError: pydantic's, of a name, a scope or a limit.
        """
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        fields = {
            "name": name,
            "sha256": digest_of(secret),
            "scopes": frozenset(scopes),
            "rate": rate,
            "concurrency": concurrency,
            "share": share,
            "created": datetime.now(UTC).replace(microsecond=0),
        }
        return cls.model_validate(fields), secret

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything, with the jobs of others, too."""
        return "admin" in self.scopes

    @property
    def caller(self) -> Caller:
        """Whose requests those with this key are."""
        return Caller(self.name, self.share)

    def may(self, scope: Scope | None) -> bool:
        """Whether it has a scope; every key has None."""
        return scope is None or self.is_admin or scope in self.scopes


def explained(error: ValidationError) -> str:
    """What is wrong with a key, or with a file of keys: the first field that is, its value, and what it
    may be.
    """
    told = error.errors(include_url=False, include_context=False)
    first = next((each for each in told if each["type"] == "extra_forbidden"), told[0])
    place = [str(part) for part in first["loc"]]
    name = next((part for part in reversed(place) if part in EXPECTED), None)
    if first["type"] == "extra_forbidden" or name is None:
        fault = {"extra_forbidden": "unknown", "missing": "missing"}.get(
            first["type"], first["msg"]
        )
        return f"{'.'.join(place) or 'the file'}: {fault}"
    where = ".".join(place[: place.index(name) + 1])
    if first["type"] == "missing":
        return f"{where}: missing; expected {EXPECTED[name]}"
    shown = "" if name == "sha256" else f" '{str(first['input'])[:SHOWN]}';"
    return f"{where}:{shown} expected {EXPECTED[name]}"


def digest_of(secret: str) -> str:
    """The hash by which a secret is known."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find(keys: Iterable[Key], secret: str) -> Key | None:
    """The key of a secret, or None; how long it takes says nothing of how near a secret was."""
    digest, found = digest_of(secret), None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found
