"""The service on Ray Serve: a door that is the same web application, and replicas of the engine."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.exceptions import RayActorError
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from app import __version__
from app.access.gate import Gate
from app.api.app import create_app
from app.cluster.engine import Engine
from app.cluster.replicas import Replicas
from app.errors import InvalidRequest
from app.service.service import Service
from app.settings import Settings
from app.telemetry.logs import configure_logging

NAME = "equipot"
"""Of the application."""
ONGOING = 2
"""Pieces for each replica, on their way, to which the number of replicas is fitted."""
AT_ONCE = 4
"""Pieces that a replica may have, one of which is evaluated."""
ANYWHERE = "0.0.0.0"
"""Where Ray Serve listens in a container."""
REQUESTS = 1000
"""Requests that a door may have; its own queue turns away what is too much."""


class Scale(BaseModel):
    """How many replicas there are, and what each has.

    Attributes:
        min_replicas: at least.
        max_replicas: at most.
        cpus: cores of each, and threads of its numerics.
        gpus: of each; a fraction shares one.
        doors: processes that read requests and write answers.
        door_cpus: cores of each of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=1, ge=1)
    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)
    doors: int = Field(default=1, ge=1)
    door_cpus: float = Field(default=0.0, ge=0)


class Door:
    """Reads requests and writes answers as the service in one process does, and has replicas compute.

    Args:
        settings: of the service.
        engine: calls of the replicas.
        most: replicas that there may be.
    """

    def __init__(self, settings: Settings, engine: DeploymentHandle, most: int) -> None:
        configure_logging(settings.log_level, settings.log_format)
        self._settings, self._engine, self._most = settings, engine, most

    def __serve_build_asgi_app__(self) -> Any:
        """The web application, on the event loop of this actor."""
        return create_app(
            self._settings, Service(self._settings, elsewhere(self._engine, self._most))
        )


class _Calls:
    """Calls of a deployment, as `Replicas` makes them."""

    def __init__(self, engine: DeploymentHandle) -> None:
        self.opened = engine.opened.remote
        self.answer = engine.answer.remote


def elsewhere(engine: DeploymentHandle, most: int) -> Replicas:
    """What a service has in the place of its own models.

    Args:
        engine: calls of the replicas.
        most: replicas that there may be.
    """
    return Replicas(_Calls(engine), most, (RayActorError,))


def engines(settings: Settings, scale: Scale) -> Application:
    """The replicas that compute.

    Args:
        settings: of the service.
        scale: how many there are.
    """
    if not settings.threads:
        settings = settings.model_copy(update={"threads": max(1, int(scale.cpus))})
    threads = str(settings.threads)
    gpus = scale.gpus or (1.0 if settings.device.startswith("cuda") else 0.0)
    engine = serve.deployment(Engine).options(
        name="engine",
        max_ongoing_requests=AT_ONCE,
        autoscaling_config={
            "min_replicas": scale.min_replicas,
            "max_replicas": scale.max_replicas,
            "target_ongoing_requests": ONGOING,
        },
        ray_actor_options={
            "num_cpus": scale.cpus,
            "num_gpus": gpus,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads}},
        },
        graceful_shutdown_timeout_s=settings.drain_timeout,
    )
    return engine.bind(settings, __version__)


def application(settings: Settings, scale: Scale) -> Application:
    """What Ray Serve runs: doors, and the replicas behind them.

    Args:
        settings: of the service.
        scale: how many there are of both.

    Raises:
        InvalidRequest: several doors would each have jobs of their own.
    """
    if scale.doors > 1 and settings.jobs_folder and not settings.database:
        raise InvalidRequest(
            f"{scale.doors} doors: jobs of each would be unknown to the others; name a PostgreSQL "
            "database by EQUIPOT_DATABASE and a folder that all see by EQUIPOT_JOBS_FOLDER, or have "
            "no jobs by EQUIPOT_JOBS_FOLDER= (empty)"
        )
    door = serve.deployment(serve.ingress()(Door)).options(
        name="door",
        num_replicas=scale.doors,
        max_ongoing_requests=REQUESTS,
        ray_actor_options={"num_cpus": scale.door_cpus},
        graceful_shutdown_timeout_s=settings.drain_timeout,
    )
    return door.bind(settings, engines(settings, scale), scale.max_replicas)


def build(arguments: dict[str, Any]) -> Application:
    """What a file of Ray Serve or a RayService of Kubernetes names as `app.cluster.serving:build`.

    Args:
        arguments: fields of `Scale`; all else is set by variables of the environment.

    Raises:
        InvalidRequest: nobody needs a key, and nothing says that this is meant.
    """
    settings = Settings().model_copy(update={"host": ANYWHERE})
    Gate(settings.api_keys_file).check_address(settings.host, settings.allow_anonymous)
    return application(settings, Scale.model_validate(arguments))
