"""Models: those of one service, from loading and warm-up over reloads to the last answer."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.engine.potential import Potential
from app.errors import (
    CorruptModel,
    EquipotError,
    ModelInUse,
    Unavailable,
    UnknownModel,
)
from app.service.deployment import Deployment, DeploymentFile
from app.service.loader import Loader
from app.service.metrics import Metrics
from app.service.reloads import Reloads
from app.service.shares import chosen
from app.service.wanted import Wanted
from app.settings import Settings
from app.store.card import ModelCard
from app.store.store import ModelStore, is_version

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
        leaving: those that take no more requests and finish what they have, by the same.
        deployment: what of the settings was changed since the start.
        state: of all of them.
        loaded: is set once they were loaded for the first time.
        reloads: what signals ask for.

    Raises:
        InvalidRequest: the file of the deployment is none, or cannot be read.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self.store = ModelStore(settings.model_store)
        self._loader = Loader(settings, self.store, metrics)
        self._wanted = Wanted(settings, self.store)
        self.potentials: dict[str, Potential] = {}
        self.refused: dict[str, Refused] = {}
        self.leaving: dict[str, Potential] = {}
        self._leaves: set[asyncio.Task[None]] = set()
        self._file = DeploymentFile(settings.deployment_file)
        self.deployment = self._file.read(Deployment())
        self._file.accept()
        metrics.shares(self.deployment.aliases)
        self.state: Literal["starting", "ready", "failed", "stopping"] = "starting"
        self.loaded = threading.Event()
        self._changing, self._deploying = asyncio.Lock(), asyncio.Lock()
        self.reloads = Reloads(self.reload)

    async def start(self) -> None:
        """Load and warm up the models; those that cannot be loaded are refused, the others served."""
        began = time.perf_counter()
        async with self._changing:
            try:
                wanted, strays = await asyncio.to_thread(self._wanted.look, self.deployment)
            except OSError as error:
                log.error("%s cannot be read: %s", self.store.root, error)
                wanted, strays = [], {}
            self._refuse(strays)
            for reference in wanted:
                if reference not in self.deployment.unload:
                    await self._load(reference)
            self._loaded()
        for key in self.deployment.named:
            if key not in self.potentials:
                names = ", ".join(self.deployment.names_of(key))
                log.error("%s is not served, which has a share of: %s", key, names)
        served = ", ".join(self.potentials) or "no model"
        log.info("%s after %.2f s: %s", self.state, time.perf_counter() - began, served)
        self.loaded.set()

    async def reload(self) -> None:
        """As `read_again`, of which the log tells what went wrong; returns when those that leave have
        left.
        """
        try:
            leaves = await self.read_again()
        except EquipotError as error:
            log.error("nothing is reloaded: %s", error)
            return
        if leaves:
            await asyncio.wait(leaves)

    async def read_again(self) -> list[asyncio.Task[None]]:
        """Read store and deployment again, while everything that is served goes on answering.

        New versions are loaded, warmed up, and found under their name from then on. Versions that
        are gone from the store, or no longer wanted, take no more requests, finish what they
        admitted, and leave. A version that cannot be loaded is refused, and what it was to replace
        stays. One reload waits for the one before it. A store without any model changes nothing.

        Returns:
            What ends when those that leave have left.

        Raises:
            InvalidRequest: the file of the deployment is none, or cannot be read.
            CorruptModel: the store cannot be read.
            UnknownModel: it holds no model.
        """
        async with self._changing:
            if self.state == "stopping":
                return []
            new = await asyncio.to_thread(self._file.read, self.deployment)
            try:
                has_models = await asyncio.to_thread(self.store.names)
                wanted, strays = await asyncio.to_thread(self._wanted.look, new)
            except OSError as error:
                raise CorruptModel(str(error)) from None
            if not has_models:
                raise UnknownModel(f"{self.store.root} holds no model")
            self.refused = {key: refused for key, refused in self.refused.items() if key in wanted}
            self._refuse(strays)
            for reference in wanted:
                if reference in self.leaving:
                    log.error("model %s is still leaving, and not loaded again", reference)
                elif reference not in self.potentials:
                    await self._load(reference)
            # Names change once all that they stand for is served.
            await self.deploy(self._taken_over, write=False)
            served = list(self.potentials)
            unwanted = await asyncio.to_thread(self._wanted.unwanted, served, wanted, self.refused)
            leaves = self.leave(
                key
                for key in unwanted
                if key in self.potentials and key not in self.deployment.named
            )
            order = {reference: number for number, reference in enumerate(wanted)}
            self.potentials = dict(
                sorted(self.potentials.items(), key=lambda item: order.get(item[0], len(order)))
            )
            self._loaded()
            log.info("reloaded: %s", ", ".join(self.potentials) or "no model")
            return leaves

    async def load(self, reference: str) -> str:
        """Have a version served that is in the store.

        Args:
            reference: `name` for the newest version of the store, or `name@version`.

        Returns:
            `name@version`.

        Raises:
            StoreError: there is none, it is sound no more, or it is being unloaded.
            OutOfMemory: there is not enough memory for it.
            BackendError: the runtime cannot use it.
            Unavailable: the service is shutting down.
        """
        name, version = await asyncio.to_thread(self.store.resolve, reference)
        key = f"{name}@{version}"
        async with self._changing:
            if key in self.leaving:
                raise ModelInUse(
                    f"model '{key}' is being unloaded, and finishes what it has; load it again when "
                    "that has ended"
                )
            potential = None if key in self.potentials else await self._opened(key)
            if self.state == "stopping":
                raise Unavailable("the service is shutting down")
            is_extra = key not in await asyncio.to_thread(self._wanted.stated)
            await self.deploy(lambda deployment: deployment.loading(key, is_extra))
            if potential is not None:
                self._serve(potential)
                self._loaded()
        return key

    async def deploy(
        self, change: Callable[[Deployment], Deployment], write: bool = True
    ) -> Deployment:
        """Have other names and lists in force, and keep them.

        Args:
            change: makes the new deployment of the one in force; what it raises changes nothing.
            write: whether it is new to the file, too.

        Raises:
            ModelInUse: somebody else has changed the file that keeps them.
            InvalidRequest: it cannot be written.
        """
        async with self._deploying:
            changed = change(self.deployment)
            if write and changed != self.deployment:
                await asyncio.to_thread(self._file.write, changed)
                log.info("deployment: %s", changed.model_dump_json(exclude_defaults=True))
            self.deployment = changed
            self._metrics.shares(changed.aliases)
        if self.state in ("ready", "failed"):
            self._loaded()
        return changed

    def _taken_over(self, deployment: Deployment) -> Deployment:
        """The deployment of the file, if what it says anew can be served.

        Raises:
            StoreError: a version is not served.
        """
        new = self._file.read(deployment)
        changed = {k: a for k, a in new.aliases.items() if deployment.aliases.get(k) != a}
        for alias in changed.values():
            for key in alias.shares:
                self.check_served(key, key)
        if new.default != deployment.default:
            for name in new.default or ():
                for key in new.meant(name) or [self.key(name)]:
                    self.check_served(key, name)
        self._file.accept()
        return new

    def leave(self, references: Iterable[str]) -> list[asyncio.Task[None]]:
        """Have versions take no more requests; what they have is finished.

        Returns:
            What ends when they have left.
        """
        leaves = []
        for reference in references:
            self.leaving[reference] = potential = self.potentials.pop(reference)
            leaves.append(asyncio.create_task(self._leave(potential)))
        for leave in leaves:
            self._leaves.add(leave)
            leave.add_done_callback(self._leaves.discard)
        return leaves

    def drain(self) -> None:
        """Be ready no longer; what was admitted goes on."""
        self.state = "stopping"

    async def stop(self) -> None:
        """Refuse new requests and finish the admitted ones."""
        self.drain()
        leaving = list(self.leaving.values())
        await asyncio.gather(*(potential.admission.close() for potential in leaving))
        await self.reloads.stop()
        await asyncio.gather(
            *(potential.stop() for potential in self.potentials.values()), *self._leaves
        )

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

    @property
    def loading(self) -> set[str]:
        """`name@version` of those that are being loaded."""
        return self._loader.loading

    @property
    def kept_in(self) -> str | None:
        """The file that keeps changes over restarts."""
        return None if self._file.path is None else str(self._file.path)

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
        return f"no model could be loaded: {reasons or f'{self.store.root} holds none'}"

    async def _leave(self, potential: Potential) -> None:
        """Finish what the model admitted, and what holds it; nothing refers to it afterwards."""
        await potential.admission.let_go()
        await potential.stop()
        del self.leaving[potential.reference]
        self._metrics.gone(potential.card, potential.digest)
        log.info("model %s is no longer served", potential.reference)

    def _refuse(self, strays: dict[str, str]) -> None:
        for reference, reason in strays.items():
            log.error("model %s is refused: %s", reference, reason)
            self.refused[reference] = Refused(reference, reason)

    async def _load(self, reference: str) -> None:
        with suppress(EquipotError):  # it is refused, and the others are served
            self._serve(await self._opened(reference))

    async def _opened(self, reference: str) -> Potential:
        """A version, warmed up; one that cannot be loaded is refused.

        Raises:
            EquipotError: as `Loader.load`.
        """
        try:
            return await self._loader.load(reference)
        except EquipotError as error:
            self.refused[reference] = Refused(reference, str(error))
            raise

    def _serve(self, potential: Potential) -> None:
        potential.start()
        self.refused.pop(potential.reference, None)
        self.potentials[potential.reference] = potential
        self._metrics.model(potential.card, potential.digest, lambda: potential.workers.depth)
        log.info("model %s is served (%s)", potential.reference, potential.digest[:12])


def _version(reference: str) -> int:
    """The version of `name@version`; 0 where a refused reference has none, or what is none."""
    version = reference.partition("@")[2]
    return int(version) if is_version(version) else 0
