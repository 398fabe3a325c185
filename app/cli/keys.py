"""`equipot keys add|list|revoke`: the keys of a service."""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.access.key_file import changing, read_keys
from app.access.keys import SCOPES, Key, explained
from app.errors import InvalidRequest

VARIABLE = "EQUIPOT_API_KEYS_FILE"
HEADER = ("KEY", "SCOPES", "RATE", "CONCURRENCY", "SHARE", "CREATED")


def configure(parser: argparse.ArgumentParser) -> None:
    """An action, with what it is about."""
    parser.set_defaults(explain=partial(parser.print_help, sys.stderr), act=None)
    actions = parser.add_subparsers(metavar="ACTION")
    add = _action(actions, "add", "make a key, and show its secret, once", _add)
    add.add_argument("name", metavar="NAME", help="letters, digits, dots, dashes and underscores")
    add.add_argument(
        "--scopes",
        default="predict,jobs",
        help=f"what it may do, separated by commas: {', '.join(SCOPES)} (%(default)s)",
    )
    add.add_argument("--rate", type=int, help="requests a minute; any number where not given")
    add.add_argument("--concurrency", type=int, help="requests at a time; the same")
    add.add_argument(
        "--share", type=float, default=1.0, help="of a model's queue, from 0 to 1 (%(default)s)"
    )
    _action(actions, "list", "a line for each key", _list)
    revoke = _action(actions, "revoke", "let a key in no more", _revoke)
    revoke.add_argument("name", metavar="NAME", help="of the key")


def run(options: argparse.Namespace) -> int:
    """Do what is asked.

    Returns:
        0; 2, and what can be done, without an action.

    Raises:
        InvalidRequest: no file is named, it is none of keys, or there is no such key.
    """
    if options.act is None:
        options.explain()
        return 2
    if not options.file:
        raise InvalidRequest(f"no file of keys: give --file, or set {VARIABLE}")
    options.act(options, Path(options.file))
    return 0


def _action(actions: Any, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    action.set_defaults(act=act)
    action.add_argument(
        "--file", default=os.environ.get(VARIABLE), help=f"the file of keys (${VARIABLE})"
    )
    action.add_argument("--json", action="store_true", help="for programs")
    return action


def _add(options: argparse.Namespace, path: Path) -> None:
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    limits = options.rate, options.concurrency, options.share
    try:
        key, secret = Key.make(options.name, scopes, *limits)
    except ValidationError as error:
        raise InvalidRequest(explained(error)) from None
    with changing(path) as keys:
        if any(known.name == key.name for known in keys):
            raise InvalidRequest(
                f"{path} has a key '{key.name}'; revoke it first, or take another name"
            )
        keys.append(key)
    if options.json:
        print(json.dumps({**_fields(key), "secret": secret}))
        return
    print(secret)
    told = "this is the secret, which is not kept and not shown again"
    print(
        f"equipot keys: '{key.name}' may {', '.join(sorted(key.scopes))}; {told}", file=sys.stderr
    )


def _list(options: argparse.Namespace, path: Path) -> None:
    keys = read_keys(path)
    if options.json:
        print(json.dumps([_fields(key) for key in keys]))
        return
    rows = [HEADER, *map(_row, keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _revoke(options: argparse.Namespace, path: Path) -> None:
    with changing(path) as keys:
        left = [key for key in keys if key.name != options.name]
        if len(left) == len(keys):
            raise InvalidRequest(f"{path} has no key '{options.name}'")
        keys[:] = left
    if options.json:
        print(json.dumps({"name": options.name}))
        return
    print(f"equipot keys: '{options.name}' is let in no more", file=sys.stderr)


def _fields(key: Key) -> dict[str, Any]:
    """What may be shown of a key; not even the hash of its secret is."""
    fields = key.model_dump(mode="json", exclude={"sha256"})
    return {**fields, "scopes": sorted(key.scopes)}


def _row(key: Key) -> tuple[str, ...]:
    limits = ("" if limit is None else str(limit) for limit in (key.rate, key.concurrency))
    shown = ",".join(sorted(key.scopes)), *limits, f"{key.share:g}"
    return (key.name, *shown, key.created.strftime("%Y-%m-%d"))
