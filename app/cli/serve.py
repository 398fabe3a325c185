"""`equipot serve`: the HTTP service."""

import argparse
from contextlib import ExitStack

from app.cli.options import OPTIONS, add_settings, settings_from
from app.errors import InvalidRequest
from app.settings import Settings
from app.telemetry.logs import configure_logging

SCALE = {
    "min_replicas": (int, "replicas that there are at least (1)"),
    "max_replicas": (int, "replicas that there are at most, as many as the queue needs (1)"),
    "replica_cpus": (float, "cores of each (1)"),
    "replica_gpus": (float, "GPUs of each; 0.5 shares one (0)"),
    "doors": (int, "processes that read requests and write answers (1)"),
}
"""Options of a service on a cluster."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options for the settings that change most; all others come from the environment."""
    add_settings(parser, *OPTIONS)
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        nargs="?",
        const="local",
        help="replicas on a Ray cluster answer: local (starts one), auto, HOST:PORT or "
        "ray://HOST:PORT",
    )
    for name, (kind, told) in SCALE.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, help=f"with --ray: {told}")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    settings, scale = settings_from(options), scale_of(options)
    if options.ray is not None:
        if settings.processes > 1:
            raise InvalidRequest(
                f"--processes {settings.processes}: of one machine; with --ray say --min-replicas"
            )
        configure_logging(settings.log_level, settings.log_format)
        from app.cluster.hosting import host

        return host(settings, options.ray, scale)
    return _served(settings)


def scale_of(options: argparse.Namespace) -> dict[str, float]:
    """What is stated of replicas.

    Raises:
        InvalidRequest: it is stated without a cluster, or cannot be.
    """
    stated = {name: v for name in SCALE if (v := getattr(options, name)) is not None}
    for name, value in stated.items():
        option = f"--{name.replace('_', '-')}"
        if options.ray is None:
            raise InvalidRequest(f"{option}: is of replicas on a cluster; say --ray as well")
        if value <= 0:
            raise InvalidRequest(f"{option} {value:g}: a positive number is expected")
    least = stated.get("min_replicas", 1)
    if stated.get("max_replicas", least) < least:
        raise InvalidRequest(
            f"--max-replicas {stated['max_replicas']:g}: is less than --min-replicas {least:g}"
        )
    stated.setdefault("max_replicas", least)
    return {name.removeprefix("replica_"): value for name, value in stated.items()}


def _served(settings: Settings) -> int:
    """Serve in this process, or in several on this machine.

    Raises:
        OSError: the address cannot be listened on.
    """
    from app.api.listeners import bound
    from app.api.processes.parent import Parent
    from app.api.server import Server, prepare

    with ExitStack() as stack:
        listeners = [*map(stack.enter_context, bound(settings.host, settings.port))]
        prepare(settings)
        if settings.processes > 1:
            return Parent(settings, listeners).run()
        Server(settings).run(listeners)
    return 0
