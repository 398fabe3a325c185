"""Shares: which of the versions behind an alias answers one who asks, always the same one.

A point in [0, 100) is made of the alias and of who asks, by sha256, so that all processes of a
service agree, after a restart, too. Versions lie on it in their order, each as wide as its share: where
the last one's share grows, whoever had it keeps it.
"""

import hashlib

from app.access.caller import CALLER
from app.protocol.admin import ALL, Alias
from app.telemetry.context import CONTEXT


def chosen(name: str, alias: Alias) -> str:
    """`name@version` for what the running task answers.

    Args:
        name: of the alias.
        alias: what it stands for.
    """
    return at(alias, _point(f"{name}\n{_asking(alias)}"))


def at(alias: Alias, point: float) -> str:
    """`name@version` at a point, percent."""
    ordered = sorted(alias.shares.items(), key=lambda item: _place(item[0]))
    for reference, share in ordered:
        point -= share
        if point < 0:
            return reference
    return ordered[-1][0]


def _asking(alias: Alias) -> str:
    """Who asks, or the request itself; nobody outside of requests."""
    context, caller = CONTEXT.get(), CALLER.get()
    if alias.by == "request":
        return "" if context is None else f"request {context.id}"
    if caller is not None:
        return f"key {caller.name}"
    return "" if context is None else f"address {context.address}"


def _point(text: str) -> float:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return ALL * number / 2**64


def _place(reference: str) -> tuple[str, int]:
    name, _, version = reference.partition("@")
    return name, int(version)
