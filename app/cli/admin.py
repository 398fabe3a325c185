"""`equipot admin show|load|unload|reload|default|alias|unalias`: what a running service serves."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from app.cli.jobs import SERVER
from app.cli.models import table
from app.cli.remote import connected
from app.errors import InvalidRequest
from app.protocol.admin import ALL
from equipot import Client
from equipot.request import Call, Request

HEADER = ("MODEL", "STATE", "DEFAULT", "ALIASES", "QUEUED", "STREAMS", "REASON")


def configure(parser: argparse.ArgumentParser) -> None:
    """An action, with what it is about."""
    parser.set_defaults(explain=partial(parser.print_help, sys.stderr), act=None)
    actions = parser.add_subparsers(metavar="ACTION")
    _action(actions, "show", "all versions with their states, the default, and the aliases", _show)
    load = _action(actions, "load", "serve a version", _load)
    unload = _action(actions, "unload", "serve it no more; what is under way is finished", _unload)
    for one in (load, unload):
        one.add_argument("model", metavar="MODEL", help="`name@version`, or `name`")
    _action(actions, "reload", "read the store again", _reload)
    default = _action(actions, "default", "choose the model of requests that name none", _default)
    default.add_argument(
        "models", nargs="+", metavar="MODEL", help="the first one that is made for it"
    )
    alias = _action(actions, "alias", "say what a name stands for", _alias)
    alias.add_argument("alias", metavar="NAME")
    alias.add_argument(
        "shares", nargs="+", metavar="MODEL=PERCENT", help="`name@version`, and how many have it"
    )
    alias.add_argument(
        "--by",
        choices=("caller", "request"),
        default="caller",
        help="what has one version all along (%(default)s)",
    )
    unalias = _action(actions, "unalias", "have it stand for nothing", _unalias)
    unalias.add_argument("alias", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Do what is asked, and show what is served then.

    Returns:
        0; 2, and what can be done, without an action.

    Raises:
        InvalidRequest: a share is none.
        BackendError: the service cannot be reached, or refuses what is asked.
    """
    if options.act is None:
        options.explain()
        return 2
    asked = options.act(options)
    with connected(options.server) as client:
        known = _run(client, asked)
    print(json.dumps(known, indent=2) if options.json else _told(known))
    return 0


def _action(actions: Any, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    action.set_defaults(act=act)
    action.add_argument("--server", default=SERVER, metavar="URL", help="(%(default)s)")
    action.add_argument("--json", action="store_true", help="for programs")
    return action


def _show(_: argparse.Namespace) -> Request:
    return _request("GET", "models")


def _load(options: argparse.Namespace) -> Request:
    return _request("POST", f"models/{_quoted(options.model)}/load")


def _unload(options: argparse.Namespace) -> Request:
    return _request("POST", f"models/{_quoted(options.model)}/unload")


def _reload(_: argparse.Namespace) -> Request:
    return _request("POST", "reload")


def _default(options: argparse.Namespace) -> Request:
    return _request("PUT", "default", {"models": options.models})


def _alias(options: argparse.Namespace) -> Request:
    shares = dict(map(_share, options.shares))
    if len(shares) < len(options.shares):
        raise InvalidRequest("a model is given twice; give it once")
    body = {"shares": shares, "by": options.by}
    return _request("PUT", f"aliases/{_quoted(options.alias)}", body)


def _unalias(options: argparse.Namespace) -> Request:
    return _request("DELETE", f"aliases/{_quoted(options.alias)}")


def _share(text: str) -> tuple[str, float]:
    """A model and its percent, all where none is given."""
    model, stated, percent = text.partition("=")
    try:
        return model, float(percent) if stated else ALL
    except ValueError:
        raise InvalidRequest(f"'{text}': MODEL=PERCENT is expected, as in m@3=90") from None


def _request(method: str, path: str, body: Mapping[str, Any] | None = None) -> Request:
    headers = {} if body is None else {"Content-Type": "application/json"}
    content = b"" if body is None else json.dumps(body).encode()
    return Request(method, f"/admin/{path}", headers=headers, content=content)


def _quoted(name: str) -> str:
    return quote(name, safe="@")


def _run(client: Client, request: Request) -> dict[str, Any]:
    def call() -> Call[dict[str, Any]]:
        response = yield request
        known: dict[str, Any] = response.json()
        return known

    return client.run(call())


def _told(known: Mapping[str, Any]) -> str:
    rows: list[Sequence[str]] = [HEADER, *map(_row, known["models"])]
    lines = [table(rows), "", f"default: {', '.join(known['default'])}"]
    for name, alias in known["aliases"].items():
        shares = ", ".join(f"{model} {share:g} %" for model, share in alias["shares"].items())
        lines.append(f"alias {name}: {shares} (by {alias['by']})")
    kept = known["kept_in"] or "nothing: they last until the service ends"
    return "\n".join([*lines, f"changes are kept in {kept}"])


def _row(model: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        model["model"],
        model["state"],
        "yes" if model.get("default") else "",
        ",".join(model.get("aliases", ())),
        str(model.get("structures", "")),
        str(model.get("streams", "")),
        model.get("reason", ""),
    )
