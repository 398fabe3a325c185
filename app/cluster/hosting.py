"""Hosting: the service on a cluster, for as long as the process lives that asked for it."""

import logging
import signal
import threading

from app.access.gate import Gate
from app.cluster.connection import LOCAL, cluster
from app.errors import Unavailable
from app.settings import Settings

log = logging.getLogger(__name__)


def host(settings: Settings, address: str, scale: dict[str, float]) -> int:
    """Serve until a signal ends it.

    Args:
        settings: of the service.
        address: of the cluster, as for `app.cluster.connection.cluster`.
        scale: fields of `app.cluster.serving.Scale`.

    Raises:
        InvalidRequest: no address, or others than this machine could ask without a key and nothing
            says that they may; or several doors could not share their jobs.
        Unavailable: the cluster cannot be used, it serves on another port or Equipot already, or no
            replica starts; says why.
    """
    Gate(settings.api_keys_file).check_address(settings.host, settings.allow_anonymous)
    with cluster(address):
        from ray import serve

        from app.cluster.serving import NAME, Scale, application

        ended = threading.Event()
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: ended.set())
        app = application(settings, Scale.model_validate(scale))
        before = serve.status()
        if NAME in before.applications:
            raise Unavailable(
                "a service of Equipot is on this cluster already; end it, or, if its process was "
                "killed, `serve shutdown` on a machine of the cluster"
            )
        http = {"host": settings.host, "port": settings.port, "location": "HeadOnly"}
        serve.start(http_options=http)
        _check_port(settings.port)
        try:
            serve.run(app, name=NAME, route_prefix="/")
        except RuntimeError as error:
            serve.delete(NAME)
            raise Unavailable(f"no replica starts: {error}") from error
        log.info("listening on http://%s:%s", settings.host, settings.port)
        ended.wait()
        serve.delete(NAME)
        if address != LOCAL and not before.proxies:
            serve.shutdown()
    return 0


def _check_port(port: int) -> None:
    """Whether Ray Serve listens there: one that ran before keeps its own port.

    Raises:
        Unavailable: it listens on another one.
    """
    from ray.serve.context import _get_global_client

    found = _get_global_client().http_config.port
    if found != port:
        raise Unavailable(
            f"--port {port}: Ray Serve runs on this cluster already, and listens on port {found}; "
            f"say --port {found}, or end what it serves with `serve shutdown`"
        )
