"""Models: those of one service, from loading and warm-up over reloads to the last answer."""

import asyncio
import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import Literal

from app.engine.budget import Budget
from app.engine.calibration_cache import CalibrationCache
from app.engine.load import load_potential
from app.engine.potential import Potential
from app.errors import CorruptModel, EquipotError, Unavailable, UnknownModel
from app.protocol.schemas import BudgetOut, ModelAnswer, ModelsAnswer, ModelSummary
from app.service.metrics import Metrics
from app.service.options import potential_options
from app.service.reloads import Reloads
from app.settings import Settings
from app.store.card import ModelCard
from app.store.store import ModelStore, is_version
from app.store.summary import summary

SUMMARY = {"description", "architecture", "elements", "cutoff", "takes_charge"}
"""What of a card stands in the list of models."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """A model of the store that is not served, and why."""

    reference: str
    reason: str


class Models:
    """Models by `name@version`, and whether they may be asked.

    Args:
        settings: of the service.
        metrics: is told of models and of what they do.

    Attributes:
        store: where they come from.
        potentials: those that are served, by `name@version`.
        refused: those that are not, and why.
        state: of all of them.
        loaded: is set once they were loaded for the first time.
        reloads: what signals ask for.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._options = potential_options(settings)
        self.store = ModelStore(settings.model_store)
        self._cache = CalibrationCache(settings.cache)
        self.potentials: dict[str, Potential] = {}
        self.refused: dict[str, Refused] = {}
        self.state: Literal["starting", "ready", "failed", "stopping"] = "starting"
        self.loaded = threading.Event()
        self._changing = asyncio.Lock()
        self.reloads = Reloads(self.reload)

    async def start(self) -> None:
        """Load and warm up the models; those that cannot be loaded are refused, the others served."""
        began = time.perf_counter()
        async with self._changing:
            try:
                wanted, strays = await asyncio.to_thread(self._look)
            except OSError as error:
                log.error("%s cannot be read: %s", self.store.root, error)
                wanted, strays = [], {}
            self._refuse(strays)
            for reference in wanted:
                await self._load(reference)
            self._loaded()
        served = ", ".join(self.potentials) or "no model"
        log.info("%s after %.2f s: %s", self.state, time.perf_counter() - began, served)
        self.loaded.set()

    async def reload(self) -> None:
        """Read the store again, while everything that is served goes on answering.

        New versions are loaded, warmed up, and found under their name from then on. Versions that
        are gone from the store, or no longer wanted, take no more requests, finish what they
        admitted, and leave. A version that cannot be loaded is refused, and what it was to replace
        stays. Returns when those that leave have left; one reload waits for the one before it. A
        store without any model changes nothing.
        """
        async with self._changing:
            if self.state == "stopping":
                return
            try:
                wanted, strays = await asyncio.to_thread(self._look)
            except OSError as error:
                log.error("nothing is reloaded: %s", error)
                return
            if not wanted:
                log.error("nothing is reloaded: %s holds no model", self.store.root)
                return
            self.refused = {key: refused for key, refused in self.refused.items() if key in wanted}
            self._refuse(strays)
            for reference in wanted:
                if reference not in self.potentials:
                    await self._load(reference)
            leaving = [
                self.potentials.pop(key) for key in await asyncio.to_thread(self._unwanted, wanted)
            ]
            order = {reference: number for number, reference in enumerate(wanted)}
            self.potentials = dict(
                sorted(self.potentials.items(), key=lambda item: order.get(item[0], len(order)))
            )
            self._loaded()
            log.info("reloaded: %s", ", ".join(self.potentials) or "no model")
            await asyncio.gather(*(self._leave(potential) for potential in leaving))

    def drain(self) -> None:
        """Be ready no longer; what was admitted goes on."""
        self.state = "stopping"

    async def stop(self) -> None:
        """Refuse new requests and finish the admitted ones."""
        self.drain()
        await self.reloads.stop()
        await asyncio.gather(*(potential.stop() for potential in self.potentials.values()))

    def potential(self, reference: str) -> Potential:
        """A model by its name; a bare one is its newest version.

        Raises:
            Unavailable: not ready yet, or shutting down.
            UnknownModel: no such model, or not loaded.
            CorruptModel: refused when it was to be loaded; says why.
        """
        self.check_ready()
        key = self._key(reference)
        if key in self.potentials:
            return self.potentials[key]
        if key in self.refused:
            raise CorruptModel(f"model '{key}' is not served: {self.refused[key].reason}")
        raise UnknownModel(f"no model '{reference}'; served: {', '.join(self.potentials)}")

    def asked(self, reference: str | None) -> list[Potential]:
        """The model of a request, or where it names none the defaults, in their order.

        Raises:
            StoreError, Unavailable: as for `potential`.
        """
        if reference is not None:
            return [self.potential(reference)]
        try:
            return [self.potential(name) for name in self._settings.default_model]
        except UnknownModel as error:
            raise UnknownModel(
                f"the request names no model, and the default is not there: {error}"
            ) from None

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

    def listed(self) -> ModelsAnswer:
        """All models, served or refused."""
        defaults = self.defaults()
        served = [
            ModelSummary(
                name=potential.card.name,
                version=potential.card.version,
                status="ready",
                default=reference in defaults,
                digest=potential.digest,
                **potential.card.model_dump(include=SUMMARY),
            )
            for reference, potential in self.potentials.items()
        ]
        refused = [_summary(model) for model in self.refused.values()]
        return ModelsAnswer(models=served + refused, defaults=defaults)

    def defaults(self) -> list[str]:
        """`name@version` of the models of requests that name none, in their order, as far as they are
        served.
        """
        keys = [self._key(name) for name in self._settings.default_model]
        return [key for key in dict.fromkeys(keys) if key in self.potentials]

    def card(self, reference: str) -> ModelAnswer:
        """The whole card of one model.

        Raises:
            UnknownModel: no such model.
            CorruptModel: it is refused; says why.
        """
        potential = self.potential(reference)
        return ModelAnswer(
            status="ready",
            digest=potential.digest,
            runs_on=potential.runs_on,
            summary=summary(potential.card),
            budget=_shown(potential.workers.budget),
            card=potential.card,
        )

    def newest_cards(self) -> list[ModelCard]:
        """Cards of the models that a bare name means, as far as these are served."""
        return [
            potential.card
            for key, potential in self.potentials.items()
            if self._newest(potential.card.name) == key
        ]

    def _key(self, reference: str) -> str:
        """`name@version` of what a reference means."""
        return reference if "@" in reference else self._newest(reference)

    def _newest(self, name: str) -> str:
        """`name@version` of the newest version that is served, or else refused."""
        for known in (self.potentials, self.refused):
            versions = [key for key in known if key.partition("@")[0] == name]
            if versions:
                return max(versions, key=_version)
        return name

    def _look(self) -> tuple[list[str], dict[str, str]]:
        """What is wanted of the store, and what of it can be no version, and why.

        Raises:
            OSError: the store cannot be read.
        """
        return self._wanted(), self.store.strays()

    def _wanted(self) -> list[str]:
        """References to load, the default models' first, in their order; a bare name only where the
        store has no such model.
        """
        listed = [self._resolved(reference) for reference in self._settings.models] or [
            f"{name}@{version}"
            for name in self.store.names()
            for version in reversed(self.store.versions(name))
        ]
        return sorted(dict.fromkeys(listed), key=self._rank)

    def _rank(self, reference: str) -> int:
        """Lower for what is to be loaded earlier: defaults, other versions of them, all others."""
        defaults, name = self._settings.default_model, reference.partition("@")[0]
        for known in (reference, name):
            if known in defaults:
                return defaults.index(known)
        names = {default.partition("@")[0] for default in defaults}
        return len(defaults) + (name not in names)

    def _resolved(self, reference: str) -> str:
        try:
            name, version = self.store.resolve(reference)
        except UnknownModel:
            return reference
        return f"{name}@{version}"

    def _unwanted(self, wanted: list[str]) -> list[str]:
        """Served versions that are to leave; one that is still in the store stays for a refused one
        of its name.
        """
        refused = {key.partition("@")[0] for key in self.refused if key in wanted}
        leaving = []
        for key, potential in self.potentials.items():
            name, version = potential.card.name, potential.card.version
            stands_in = name in refused and version in self.store.versions(name)
            if key not in wanted and not stands_in:
                leaving.append(key)
        return leaving

    def _loaded(self) -> None:
        """What follows when models were loaded: the state, and measuring the new ones."""
        if self.state != "stopping":
            was_ready = self.state == "ready"
            ready = self.potentials and (was_ready or not self._lacking())
            self.state = "ready" if ready else "failed"
            for reason in self._lacking():
                log.error("%s", reason)
        if self._settings.measure:
            for potential in self.potentials.values():
                potential.measure_when_idle()

    def _lacking(self) -> list[str]:
        """What is wrong with each of several default models that is not served. A single one may be
        missing, since requests may name others.
        """
        names = self._settings.default_model
        if len(names) == 1:
            return []
        return [
            f"the default model '{name}' (EQUIPOT_DEFAULT_MODEL) is not served: "
            + (self.refused[key].reason if key in self.refused else "it is not loaded or not there")
            for name in names
            if (key := self._key(name)) not in self.potentials
        ]

    def _failure(self) -> str:
        """Why no requests are answered."""
        if self.potentials:
            return "; ".join(self._lacking())
        reasons = "; ".join(refused.reason for refused in self.refused.values())
        return f"no model could be loaded: {reasons or f'{self.store.root} holds none'}"

    async def _leave(self, potential: Potential) -> None:
        """Finish what the model admitted; nothing refers to it afterwards."""
        await potential.stop()
        self._metrics.gone(potential.card, potential.digest)
        log.info("model %s is no longer served", potential.reference)

    def _refuse(self, strays: dict[str, str]) -> None:
        for reference, reason in strays.items():
            log.error("model %s is refused: %s", reference, reason)
            self.refused[reference] = Refused(reference, reason)

    async def _load(self, reference: str) -> None:
        try:
            potential = await asyncio.to_thread(self._open, reference)
        except Exception as error:
            log.error(
                "model %s is refused: %s",
                reference,
                error,
                exc_info=not isinstance(error, EquipotError),
            )
            self.refused[reference] = Refused(reference, str(error))
            return
        potential.start()
        self.refused.pop(reference, None)
        self.potentials[potential.reference] = potential
        self._metrics.model(potential.card, potential.digest, lambda: potential.workers.depth)
        log.info("model %s is served (%s)", potential.reference, potential.digest[:12])

    def _open(self, reference: str) -> Potential:
        model = self.store.load(reference)
        observer = self._metrics.observer(model.card.reference)
        potential = load_potential(model, self._options, observer, self._cache)
        potential.warm_up()
        return potential


def _summary(refused: Refused) -> ModelSummary:
    name, _, version = refused.reference.partition("@")
    number = int(version) if is_version(version) else None
    return ModelSummary(name=name, version=number, status="refused", reason=refused.reason)


def _shown(budget: Budget) -> BudgetOut:
    return BudgetOut(
        atoms=budget.atoms,
        edges=budget.edges,
        structures=budget.structures,
        seconds=budget.seconds if math.isfinite(budget.seconds) else None,
        source=budget.source,
    )


def _version(reference: str) -> int:
    """The version of `name@version`; 0 where a refused reference has none, or what is none."""
    version = reference.partition("@")[2]
    return int(version) if is_version(version) else 0
