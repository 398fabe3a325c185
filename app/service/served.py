"""Served: the models that answer, and what names stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.engine.potential import Potential
from app.errors import CorruptModel, Unavailable, UnknownModel
from app.service.deployment import Deployment
from app.service.metrics import Metrics
from app.service.shares import chosen
from app.settings import Settings
from app.store.card import ModelCard
from app.store.location import open_store
from app.store.store import is_version


@dataclass(frozen=True, slots=True)
class Refused:
    """A model of the store that is not served, and why."""

    reference: str
    reason: str


class Served:
    """Models by `name@version`, and whether they may be asked.

    Args:
        settings: of the service.
        metrics: counts what aliases stood for.

    Attributes:
        store: where they come from.
        potentials: those that are served, by `name@version`.
        refused: those that are not, and why.
        unread: why the store could not be read at the start, if it could not.
        deployment: what of the settings was changed since the start.
        state: of all of them.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self.store = open_store(settings.model_store, settings.cache)
        self.potentials: dict[str, Potential] = {}
        self.refused: dict[str, Refused] = {}
        self.unread = ""
        self.deployment = Deployment()
        self.state: Literal["starting", "ready", "failed", "stopping"] = "starting"

    def potential(self, reference: str) -> Potential:
        """A model by its name, for the request that is answered; a bare one is what an alias of that
        name gives it, or else its newest version.

        Raises:
            Unavailable: not ready yet, or shutting down.
            UnknownModel: no such model, or not loaded.
            CorruptModel: refused when it was to be loaded; says why.
        """
        self.check_ready()
        return self._served(reference, self.key(reference))

    def asked(self, reference: str | None) -> list[Potential]:
        """The model of a request, or where it names none the defaults, in their order; counts what
        aliases stood for.

        Raises:
            StoreError, Unavailable: as for `potential`.
        """
        if reference is not None:
            return [self._counted(reference)]
        try:
            found = [self._counted(name) for name in self.default]
        except UnknownModel as error:
            raise UnknownModel(
                f"the request names no model, and the default is not there: {error}"
            ) from None
        return list(dict.fromkeys(found))

    @property
    def default(self) -> Sequence[str]:
        """Models of requests that name none, as they were stated."""
        return self.deployment.default or self._settings.default_model

    def check_ready(self) -> None:
        """Whether requests may be answered.

        Raises:
            Unavailable: with the reason why not.
        """
        if self.state == "ready":
            return
        reasons = {
            "starting": "the models are being loaded; try again in a moment",
            "stopping": "the service is shutting down; send the request to another instance",
            "failed": self._failure(),
        }
        raise Unavailable(reasons[self.state])

    def defaults(self) -> list[str]:
        """`name@version` of the models of the request that is answered, if it names none, in their
        order, as far as they are served.
        """
        keys = [self.key(name) for name in self.default]
        return [key for key in dict.fromkeys(keys) if key in self.potentials]

    def meant(self, reference: str) -> list[str]:
        """`name@version` of all that a reference may mean, whoever asks."""
        return self.deployment.meant(reference) or [self.key(reference)]

    def key(self, reference: str) -> str:
        """`name@version` of what a reference means for the request that is answered."""
        if "@" in reference:
            return reference
        alias = self.deployment.aliases.get(reference)
        return self._newest(reference) if alias is None else chosen(reference, alias)

    def newest_cards(self) -> list[ModelCard]:
        """Cards of the models that a bare name means, as far as these are served."""
        return [
            potential.card
            for key, potential in self.potentials.items()
            if self._newest(potential.card.name) == key
        ]

    def check_served(self, key: str, reference: str) -> None:
        """Whether a version is served that a name is to stand for.

        Raises:
            CorruptModel: it is refused; says why.
            UnknownModel: it is not served; says how it can be.
        """
        if "@" in key and key not in self.potentials and key not in self.refused:
            raise UnknownModel(
                f"model '{key}' is not served; load it first (POST /admin/models/{key}/load); served: "
                + (", ".join(self.potentials) or "none")
            )
        self._served(reference, key)

    def _served(self, reference: str, key: str) -> Potential:
        if key in self.potentials:
            return self.potentials[key]
        told = f"'{key}', which '{reference}' stands for," if key != reference else f"'{key}'"
        if key in self.refused:
            raise CorruptModel(f"model {told} is not served: {self.refused[key].reason}")
        known = ", ".join([*self.deployment.aliases, *self.potentials])
        if reference in self.deployment.aliases:
            raise UnknownModel(f"model {told} is not served; served: {known}")
        raise UnknownModel(f"no model '{reference}'; served: {known}")

    def _counted(self, reference: str) -> Potential:
        self.check_ready()
        key = self.key(reference)
        if reference in self.deployment.aliases:
            self._metrics.alias_requests.labels(reference, key).inc()
        return self._served(reference, key)

    def _newest(self, name: str) -> str:
        """`name@version` of the newest version that is served, or else refused."""
        for known in (self.potentials, self.refused):
            versions = [key for key in known if key.partition("@")[0] == name]
            if versions:
                return max(versions, key=_version)
        return name

    def _lacking(self) -> list[str]:
        """What is wrong with each of several default models that is not served. A single one may be
        missing, since requests may name others.
        """
        names = self.default
        if len(names) == 1:
            return []
        return [
            f"the default model '{name}' (EQUIPOT_DEFAULT_MODEL) is not served: "
            + (self.refused[key].reason if key in self.refused else "it is not loaded or not there")
            for name in names
            for key in self.meant(name)
            if key not in self.potentials
        ]

    def _failure(self) -> str:
        """Why no requests are answered."""
        if self.potentials:
            return "; ".join(self._lacking())
        reasons = "; ".join(refused.reason for refused in self.refused.values())
        why = reasons or self.unread or f"{self.store.place} holds none"
        return f"no model could be loaded: {why}"


def _version(reference: str) -> int:
    """The version of `name@version`; 0 where a refused reference has none, or what is none."""
    version = reference.partition("@")[2]
    return int(version) if is_version(version) else 0
