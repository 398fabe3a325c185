"""Deployment: what of the store is served under which names, as it was changed since the start."""

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.errors import InvalidRequest, ModelInUse
from app.protocol.admin import LONGEST_NAME, Alias, is_exact
from app.store.card import NAME_PATTERN

MODE = 0o644
"""Of a new file; one that is there keeps its own."""
AliasName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]


class Deployment(BaseModel):
    """What was changed of the settings; never changed itself.

    Attributes:
        default: models of requests that name none; None for those of the settings.
        aliases: what further names, or names of models, stand for.
        load: `name@version` of what is loaded besides what the settings say.
        unload: `name@version` of what is not loaded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: tuple[str, ...] | None = Field(default=None, min_length=1)
    aliases: dict[AliasName, Alias] = {}
    load: tuple[str, ...] = ()
    unload: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for name in ("load", "unload"):
            for reference in getattr(self, name):
                if not is_exact(reference):
                    raise ValueError(f"{name}: '{reference}': `name@version` is expected")
        for reference in self.unload:
            if reference in self.load:
                raise ValueError(f"'{reference}' is in load and in unload")
            if names := self.names_of(reference):
                raise ValueError(f"'{reference}' is in unload and has a share of '{names[0]}'")
        return self

    def names_of(self, reference: str) -> list[str]:
        """Aliases that give a version a share."""
        return [name for name, alias in self.aliases.items() if reference in alias.shares]

    def meant(self, name: str) -> list[str]:
        """Versions that a name may stand for; none where it is no alias."""
        return list(self.aliases[name].shares) if name in self.aliases else []

    @property
    def named(self) -> dict[str, None]:
        """Versions that an alias gives a share, each once."""
        return {key: None for alias in self.aliases.values() for key in alias.shares}

    def changed(self, **changes: object) -> "Deployment":
        """The same with other fields."""
        return Deployment(**(dict(self) | changes))

    def loading(self, reference: str, is_extra: bool) -> "Deployment":
        """The same with a version loaded.

        Args:
            reference: of the version.
            is_extra: whether the settings do not load it.
        """
        load = dict.fromkeys([*self.load, *[reference] * is_extra])
        unload = tuple(each for each in self.unload if each != reference)
        return self.changed(load=tuple(load), unload=unload)

    def unloading(self, references: list[str]) -> "Deployment":
        """The same without some versions."""
        load = tuple(each for each in self.load if each not in references)
        return self.changed(load=load, unload=tuple(dict.fromkeys([*self.unload, *references])))


class DeploymentFile:
    """Keeps a deployment over restarts, where there is a file; others may write it, too.

    Args:
        path: of the file, which need not be there; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._read: bytes | None = None
        self._seen: bytes | None = None

    def read(self, current: Deployment) -> Deployment:
        """The deployment of the file, to be accepted before another one is written; without a file the
        current one.

        Raises:
            InvalidRequest: it cannot be read, or is none; says where.
        """
        if self.path is None:
            return current
        try:
            content = self._content()
            read = Deployment() if content is None else Deployment.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            told = re.sub("^Value error, ", "", first["msg"])
            raise InvalidRequest(f"{self._told} {place}: {told}") from None
        except OSError as error:
            raise InvalidRequest(f"{self._told} cannot be read: {error.strerror}") from None
        self._read = content
        return read

    def accept(self) -> None:
        """What was read last is in force."""
        self._seen = self._read

    def write(self, deployment: Deployment) -> None:
        """Keep a deployment, at once and as a whole.

        Raises:
            ModelInUse: the file holds what was not accepted: somebody else has written it.
            InvalidRequest: it cannot be written.
        """
        if self.path is None:
            return
        try:
            if self._content() != self._seen:
                raise ModelInUse(
                    f"{self._told} was changed by somebody else; `POST /admin/reload` takes that "
                    "over, then try again"
                )
            content = deployment.model_dump_json(indent=1, exclude_defaults=True).encode() + b"\n"
            _replace(self.path.resolve(), content)  # a link stays one
        except OSError as error:
            raise InvalidRequest(
                f"{self._told} cannot be written: {error.strerror}; nothing was changed"
            ) from None
        self._seen = content

    @property
    def _told(self) -> str:
        return f"the file of the deployment (EQUIPOT_DEPLOYMENT_FILE), {self.path},"

    def _content(self) -> bytes | None:
        assert self.path is not None
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None


def _replace(path: Path, content: bytes) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else MODE
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
