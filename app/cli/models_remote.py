"""`equipot models pull` and `push`: versions from and to a store at a URL."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.errors import InvalidRequest, ModelExists
from app.store.location import located, own_store
from app.store.store import ModelStore

if TYPE_CHECKING:
    from app.store.remote import RemoteStore

DIRECTIONS = {"pull": "source", "push": "target"}
"""Which option an action needs; no other takes it."""
NAMES = {"source": "--from", "target": "--to"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are for `pull` and `push` alone."""
    group = parser.add_argument_group("pull and push: another store")
    what = "s3://bucket/folder, gs://…, https://…, file:///…"
    group.add_argument("--from", dest="source", metavar="URL", help=f"to pull from: {what}")
    group.add_argument("--to", dest="target", metavar="URL", help="to push to")


def check(options: argparse.Namespace) -> None:
    """Make sure that the other store is named where it is needed, and nowhere else.

    Raises:
        InvalidRequest: it is not.
    """
    needed = DIRECTIONS.get(options.action)
    for name, option in NAMES.items():
        url = getattr(options, name)
        if (url is not None) != (name == needed):
            problem = "is not for" if url is not None else "is needed by"
            raise InvalidRequest(f"{option} {problem} `models {options.action}`")
        if url is not None and not isinstance(located(url), str):
            raise InvalidRequest(f"{option} {url}: no URL; a folder is file:///its/path")


def pull(options: argparse.Namespace) -> int:
    """Copy versions into the folder of the models; those that are there already stay.

    Raises:
        InvalidRequest: `--model-store` is no folder.
        UnknownModel: a name that the other store does not have.
        ModelExists: another version of this number is there.
        CorruptModel: one is not what its card says.
        UnreachableStore: the other store cannot be read.
    """
    remote = _remote(options.source)
    place = located(options.model_store or own_store())
    if isinstance(place, str):
        raise InvalidRequest(f"--model-store {place}: models are pulled into a folder")
    store = ModelStore(place)
    wanted = [remote.resolve(reference) for reference in options.models]
    listed = [] if options.models else remote.listing().versions.items()
    for name, version in [*wanted, *((name, v) for name, all_ in listed for v in all_)]:
        reference = f"{name}@{version}"
        was_there = version in store.versions(name)
        if not was_there:
            remote.fetch(name, version, store.root)
        digest = store.load(reference).digest
        if was_there and digest != remote.digest(name, version):
            raise ModelExists(f"{store.place} has another {reference}; versions never change")
        did = "was there already" if was_there else f"pulled from {remote.url}"
        print(f"{reference} {digest[:12]}… {did}")
    return 0


def push(options: argparse.Namespace, store: ModelStore, references: Sequence[str]) -> int:
    """Copy versions to the other store; those that are there already stay.

    Raises:
        InvalidRequest: nothing can be written to such a URL.
        ModelExists: another version of this number is there.
        CorruptModel: one of the own store is not what its card says.
        UnreachableStore: the other store cannot be written.
    """
    remote = _remote(options.target)
    for reference in references:
        model = store.load(reference)
        did = f"pushed to {remote.url}" if remote.push(model) else "was there already"
        print(f"{reference} {model.digest[:12]}… {did}")
    return 0


def _remote(url: str) -> "RemoteStore":
    from app.store.remote import RemoteStore

    return RemoteStore(url)
