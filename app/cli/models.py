"""`equipot models list|show|verify|calibrate|import|pull|push`: what is in the store, whether it is
sound, how fast it is, models of other packages to put there, and copies from and to other stores.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.cli import models_import, models_remote
from app.cli.options import settings_from
from app.errors import CorruptModel
from app.store.location import open_store
from app.store.store import ModelStore
from app.store.summary import summary

HEADER = ("MODEL", "STATE", "BACKEND", "ELEMENTS", "PARAMETERS", "CUTOFF", "DESCRIPTION")

ACTIONS = {
    "list": "a line for each model",
    "show": "all that their cards say",
    "verify": "whether each file is what the card says",
    "calibrate": "measure how fast they are, and keep it",
    "import": "publish a model of another package",
    "pull": "copy versions from a store at a URL",
    "push": "copy versions to a store at a URL",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """An action, and the models it is about."""
    actions = "; ".join(f"{name}: {does}" for name, does in ACTIONS.items())
    parser.add_argument("action", nargs="?", choices=ACTIONS, metavar="ACTION", help=actions)
    parser.set_defaults(explain=partial(parser.print_help, sys.stderr))
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="`name` or `name@version`; all where not given"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--model-store", dest="model_store", help="folder or URL of the models")
    parser.add_argument("--threads", help="to calibrate with; 0 takes all cores")
    parser.add_argument("--device", help="to calibrate on: cpu, cuda or cuda:N")
    parser.add_argument("--backend", help="to calibrate: auto, onnx, aoti or kernel")
    models_import.configure(parser)
    models_remote.configure(parser)


def run(options: argparse.Namespace) -> int:
    """List, show, verify, calibrate, import, pull or push.

    Returns:
        0, or 1 if a model that was asked for is corrupt; 2, and what can be done, without an action.

    Raises:
        UnknownModel: a name that the store does not have.
    """
    if options.action is None:
        options.explain()
        return 2
    models_remote.check(options)
    if options.action == "pull":
        return models_remote.pull(options)
    settings = settings_from(options)
    if options.action == "import":
        return models_import.run(options, settings.model_store)
    store = open_store(settings.model_store, settings.cache)
    references = [_exact(store, name) for name in options.models] or every_version(store)
    if options.action == "push":
        return models_remote.push(options, store, references)
    if options.action == "calibrate":
        from app.cli.models_calibrate import calibrate

        return calibrate(settings, references, options.json)
    states = [state(store, reference) for reference in references]
    if not options.models:
        states += [_corrupt(reference, reason) for reference, reason in store.strays().items()]
    if options.json:
        print(json.dumps(states, indent=2, ensure_ascii=False))
    elif not states:
        print(f"no model in {store.place}")
    else:
        print({"list": _list, "show": _show, "verify": _verify}[options.action](states))
    return 1 if any(entry["state"] != "sound" for entry in states) else 0


def every_version(store: ModelStore) -> list[str]:
    """`name@version` of all that the store has."""
    return [f"{name}@{version}" for name in store.names() for version in store.versions(name)]


def state(store: ModelStore, reference: str) -> dict[str, Any]:
    """The card of a version, or why it cannot be used; every file's digest is checked."""
    try:
        model = store.load(reference)
    except CorruptModel as error:
        return _corrupt(reference, str(error))
    return {
        "model": reference,
        "state": "sound",
        "digest": model.digest,
        "summary": summary(model.card),
        "card": model.card.model_dump(mode="json"),
    }


def _corrupt(reference: str, reason: str) -> dict[str, Any]:
    return {"model": reference, "state": "corrupt", "reason": reason}


def _exact(store: ModelStore, name: str) -> str:
    found, version = store.resolve(name)
    return f"{found}@{version}"


def _list(states: list[dict[str, Any]]) -> str:
    return table([HEADER, *(_row(entry) for entry in states)])


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    card = entry.get("card")
    if card is None:
        return (entry["model"], entry["state"], "", "", "", "", entry["reason"])
    elements = " ".join(card["elements"][:8]) + (" …" if len(card["elements"]) > 8 else "")
    size = f"{card['parameters']:,}"
    return (
        entry["model"],
        "sound",
        card["backend"],
        elements,
        size,
        f"{card['cutoff']:g} Å",
        card["description"],
    )


def _show(states: list[dict[str, Any]]) -> str:
    return "\n\n".join(_sheet(entry) for entry in states)


def _sheet(entry: dict[str, Any]) -> str:
    if "card" not in entry:
        return f"{entry['model']}: {entry['state']}: {entry['reason']}"
    lines = [("model", entry["model"]), ("digest", entry["digest"]), *entry["card"].items()]
    rows = [(key, _plain(value)) for key, value in lines if value not in (None, "", [], {})]
    return "\n".join([*entry["summary"], "", table(rows)])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _verify(states: list[dict[str, Any]]) -> str:
    return table(
        [
            (entry["model"], entry["state"], entry.get("reason", entry.get("digest", "")))
            for entry in states
        ]
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
