"""Settings of the service: `EQUIPOT_*` variables, read when an app is built, never at import."""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ByteSize, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.backends.device import DEVICE, BackendChoice
from app.store.location import DEFAULT_MODEL, Place, default_cache, default_store, located

ENV_PREFIX = "EQUIPOT_"
ELSEWHERE = ("API_KEY", "DATA", "DATA_CACHE")
"""Ends of variables that are no settings: the key of clients, and folders of the trainer."""
SERVICE_LINK = re.compile(
    r"EQUIPOT_\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)\w*)?)"
)
"""Variables that Kubernetes sets for Services whose names begin with `equipot-`."""
SIZE = r"\s*\d*\.?\d+\s*([kmgtpe]?i?b)?\s*"


def default_jobs_folder() -> Path | None:
    """`equipot` in the user's folder for data; None where there is no such folder."""
    given = os.environ.get("XDG_DATA_HOME", "")
    home = os.environ.get("HOME", "")
    if given:
        return Path(given) / "equipot"
    return Path(home) / ".local" / "share" / "equipot" if home else None


class Settings(BaseSettings):
    """All that can be set from outside. `docs/settings.md` lists every field."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", allow_inf_nan=False
    )

    model_store: Place = Field(
        default_factory=default_store, description="folder or URL of the models"
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="models to load, `name` or `name@version`, separated by commas; empty: the whole store",
    )
    default_model: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(DEFAULT_MODEL,),
        description="the model of requests that name none; of several, separated by commas, each "
        "structure has the first that is made for it",
    )

    deployment_file: Path | None = Field(
        default=None,
        description="file of what /admin has changed: default, aliases, models loaded and unloaded; "
        "empty: a change lasts until the end of the process",
    )

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one"
    )
    processes: int = Field(
        default=1, ge=1, le=256, description="processes behind the port, each with the models"
    )
    api_keys_file: Path | None = Field(
        default=None, description="file of the keys that may ask; empty: nobody needs one"
    )
    allow_anonymous: bool = Field(
        default=False, description="listen without keys where others than this machine may reach it"
    )
    threads: int = Field(
        default=0, ge=0, description="numerics threads of one evaluation; 0 takes all cores"
    )
    device: str = Field(
        default="cpu", description="where models are evaluated: cpu, cuda or cuda:N"
    )
    backend: BackendChoice = Field(
        default="auto", description="what runs exported models: auto, onnx, aoti or kernel"
    )

    deterministic: bool = Field(
        default=False, description="answers with the same bits whatever else is in the batch"
    )

    batch_atoms: int = Field(
        default=0, ge=0, description="most atoms in one evaluation; 0: as measured"
    )
    batch_edges: int = Field(
        default=0, ge=0, description="most edges in one evaluation; 0: as measured"
    )
    batch_structures: int = Field(
        default=0, ge=0, description="most structures in one evaluation; 0: as measured"
    )
    batch_seconds: float = Field(default=0.25, gt=0, description="longest evaluation, as predicted")
    memory_mb: int = Field(
        default=0, ge=0, description="memory of one evaluation; 0 takes half of what is free"
    )
    measure: bool = Field(
        default=True, description="measure models in idle moments, where the cache has no result"
    )
    cache: Path | None = Field(
        default_factory=default_cache,
        description="folder of what was measured, and of copies of models; empty: none",
    )

    answer_cache: ByteSize = Field(
        default=ByteSize(0),
        description="bytes of answers that are kept for who asks again; 0: none",
    )

    queue_structures: int = Field(
        default=4096,
        ge=1,
        description="structures admitted and not yet answered, before requests get 429",
    )
    queue_atoms: int = Field(
        default=400_000,
        ge=1,
        description="atoms admitted and not yet answered, before requests get 429",
    )

    max_body_bytes: int = Field(default=32_000_000, ge=1, description="largest request body")
    max_structures: int = Field(default=1024, ge=1, description="most structures in one request")
    max_atoms: int = Field(default=20_000, ge=1, description="most atoms in one structure")
    max_request_atoms: int = Field(default=200_000, ge=1, description="most atoms in one request")
    max_edges: int = Field(
        default=4_000_000, ge=1, description="most edges (pairs within the cutoff) in one structure"
    )
    max_bodies_bytes: int = Field(
        default=256_000_000, ge=1, description="bodies of all requests that are being read"
    )
    max_connections: int = Field(default=1000, ge=1, description="connections at a time")
    header_timeout: float = Field(
        default=10.0, gt=0, description="seconds in which the headers of a request have to come"
    )
    receive_timeout: float = Field(
        default=120.0, gt=0, description="seconds in which a whole body has to come"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="web pages that may ask, as in https://example.org; * for all"
    )
    root_path: str = Field(default="", description="path under which a proxy shows the service")
    forwarded_allow_ips: str = Field(
        default="", description="addresses of proxies whose X-Forwarded-* headers are trusted"
    )
    body_timeout: float = Field(
        default=30.0, gt=0, description="seconds to wait for the next part of a body"
    )

    max_conformers: int = Field(default=100, ge=1, description="most conformers of one SMILES")
    embed_seconds: float = Field(
        default=30.0,
        gt=0,
        description="seconds in which the geometries of one SMILES have to be made",
    )

    max_relax_steps: int = Field(default=1000, ge=1, description="most steps of one relaxation")
    max_relax_force: float = Field(
        default=1000.0, gt=0, description="eV/Å; a relaxation beyond it has exploded"
    )
    max_relax_displacement: float = Field(
        default=50.0, gt=0, description="Å; an atom further from its start is lost"
    )

    max_task_evaluations: int = Field(
        default=3000,
        ge=1,
        description="most evaluations of one structure by a task, besides its relaxations",
    )
    max_md_evaluations: int = Field(
        default=100_000,
        ge=1,
        description="most evaluations of one structure by dynamics, over all its replicas",
    )

    mcp: bool = Field(default=False, description="whether language models may ask, at /mcp")

    jobs_folder: Path | None = Field(
        default_factory=default_jobs_folder,
        description="folder of jobs, their inputs and results; empty: no jobs",
    )
    database: str = Field(
        default="",
        description="database of jobs, as in postgresql://user@host/name; empty: SQLite in their folder",
    )
    max_jobs: int = Field(default=100, ge=1, description="jobs that have not ended")
    max_job_structures: int = Field(
        default=10_000_000, ge=1, description="most structures in one job"
    )
    max_job_bytes: int = Field(
        default=10_000_000_000, ge=1, description="largest body of a job, uncompressed"
    )
    max_jobs_bytes: int = Field(
        default=100_000_000_000, ge=1, description="inputs and results of all jobs together"
    )
    keep_jobs_days: float = Field(
        default=30.0, gt=0, description="days that a job is kept after its end"
    )
    job_lease: float = Field(
        default=30.0,
        gt=0,
        description="seconds after which what a process that died had of a job goes to another one",
    )
    webhook_private: bool = Field(
        default=False, description="whether webhooks may be in private networks"
    )

    drain_timeout: float = Field(
        default=30.0, ge=0, description="seconds that requests get to finish at shutdown"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="what is logged"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="lines for people, or a document of JSON a line"
    )
    access_log: bool = Field(default=True, description="a line of the log for each request")

    @model_validator(mode="before")
    @classmethod
    def _variables_are_known(cls, values: dict[str, object]) -> dict[str, object]:
        if told := [*map(_unknown, unknown_variables())]:
            raise ValueError("; ".join(told))
        return values

    @model_validator(mode="before")
    @classmethod
    def _read_texts(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("models", "default_model", "cors_origins"):
            if isinstance(listed := values.get(name), str):
                items = tuple(item.strip() for item in listed.split(",") if item.strip())
                values = {**values, name: items}
        for name in ("cache", "jobs_folder", "api_keys_file", "deployment_file"):
            if values.get(name) == "":
                values = {**values, name: None}
        return values

    @field_validator("model_store", mode="before")
    @classmethod
    def _is_a_place(cls, place: Place) -> Place:
        return located(place)

    @field_validator("default_model")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError(f"no model is named; leave the setting out for '{DEFAULT_MODEL}'")
        for place, name in enumerate(names):
            if name in names[:place]:
                raise ValueError(f"'{name}' is given twice")
        return names

    @field_validator("answer_cache", mode="before")
    @classmethod
    def _is_a_size(cls, size: object) -> object:
        if isinstance(size, str) and not re.fullmatch(SIZE, size, re.IGNORECASE):
            raise ValueError(
                f"'{size}' is no size; it is bytes, as in 268435456, or with a unit, as in 256MiB or 1GB"
            )
        return size

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, name: str) -> str:
        if not re.fullmatch(DEVICE, name):
            raise ValueError(f"'{name}' is unknown; choose one of: cpu, cuda, cuda:N")
        return name

    @model_validator(mode="after")
    def _largest_request_fits(self) -> Self:
        for queue, request in (
            ("queue_structures", "max_structures"),
            ("queue_atoms", "max_request_atoms"),
        ):
            if getattr(self, queue) < getattr(self, request):
                raise ValueError(
                    f"{queue} must be at least {request}, or the largest request would always get 429"
                )
        return self


def unknown_variables() -> list[str]:
    """Variables of the environment that begin as settings do, and are none that anything here reads."""
    known = {f"{ENV_PREFIX}{name.upper()}" for name in (*Settings.model_fields, *ELSEWHERE)}
    stated = (name for name in sorted(os.environ) if name.upper().startswith(ENV_PREFIX))
    return [v for v in stated if v.upper() not in known and not SERVICE_LINK.fullmatch(v)]


def _unknown(variable: str) -> str:
    """What is wrong with a variable, and which one is meant where that can be told."""
    names = {name.replace("_", ""): name for name in Settings.model_fields}
    written = variable[len(ENV_PREFIX) :].replace("_", "").lower()
    close = get_close_matches(written, names, n=1)
    meant = f"is {ENV_PREFIX}{names[close[0]].upper()} meant?" if close else "remove it"
    return f"{variable} is no setting; {meant}"
