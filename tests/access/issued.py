"""Keys for the tests of servers."""

from pathlib import Path
from typing import Any

from app.access.key_file import changing
from app.access.keys import Key


def issue(path: Path, name: str, *scopes: str, **limits: Any) -> dict[str, str]:
    """Add a key to a file; the header that it is sent in."""
    key, secret = Key.make(name, scopes, **limits)
    with changing(path) as keys:
        keys.append(key)
    return {"Authorization": f"Bearer {secret}"}


def revoke(path: Path, name: str) -> None:
    """Remove a key from a file."""
    with changing(path) as keys:
        keys[:] = [key for key in keys if key.name != name]
