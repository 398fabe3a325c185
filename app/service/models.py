"""Models: how those of a service come and go."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from app.engine.potential import Potential
from app.errors import (
    CorruptModel,
    EquipotError,
    ModelInUse,
    Unavailable,
    UnknownModel,
    UnreachableStore,
)
from app.service.deployment import Deployment, DeploymentFile
from app.service.elsewhere import Elsewhere
from app.service.loader import Loader
from app.service.metrics import Metrics
from app.service.reloads import Reloads
from app.service.served import Refused, Served
from app.service.wanted import Wanted
from app.settings import Settings

log = logging.getLogger(__name__)


class Models(Served):
    """The models of a service, from loading and warm-up over changes and reloads to the last answer.

    Args:
        settings: of the service.
        metrics: is told of models and of what they do.
        elsewhere: runs them, in the place of this process.

    Attributes:
        leaving: those that take no more requests and finish what they have, by `name@version`.
        loaded: is set once they were loaded for the first time.
        reloads: what signals ask for.

    Raises:
        InvalidRequest: the file of the deployment is none, or cannot be read.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, elsewhere: Elsewhere | None = None
    ) -> None:
        super().__init__(settings, metrics)
        self._loader = Loader(settings, self.store, metrics, elsewhere)
        self._wanted = Wanted(settings, self.store)
        self.leaving: dict[str, Potential] = {}
        self._leaves: set[asyncio.Task[None]] = set()
        self._file = DeploymentFile(settings.deployment_file)
        self.deployment = self._file.read(self.deployment)
        self._file.accept()
        metrics.shares(self.deployment.aliases)
        self.loaded = threading.Event()
        self._changing, self._deploying = asyncio.Lock(), asyncio.Lock()
        self.reloads = Reloads(self.reload)

    async def start(self) -> None:
        """Load and warm up the models; those that cannot be loaded are refused, the others served."""
        began = time.perf_counter()
        async with self._changing:
            try:
                wanted, strays = await asyncio.to_thread(self._wanted.look, self.deployment)
            except (OSError, UnreachableStore) as error:
                self.unread = f"{self.store.place} cannot be read: {error}"
                log.error("%s", self.unread)
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
            UnreachableStore: it is at a URL, which cannot be asked.
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
                raise UnknownModel(f"{self.store.place} holds no model")
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

    async def follow(self, served: Sequence[str]) -> None:
        """Serve what another process of the service serves, under the names that it has written.

        Args:
            served: `name@version` of that.

        Raises:
            EquipotError: a version cannot be loaded, or the file of the deployment not be read.
        """
        async with self._changing:
            if self.state == "stopping":
                return
            for key in served:
                if key in self.leaving:
                    raise ModelInUse(f"model '{key}' is still being unloaded; load it again later")
                if key not in self.potentials:
                    self._serve(await self._opened(key))
            await self.deploy(self._taken_over, write=False)
            self.leave([key for key in self.potentials if key not in served])
            for key in self.deployment.unload:
                self.refused.pop(key, None)
            self.potentials = {key: self.potentials[key] for key in served}
            self._loaded()

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

    @property
    def loading(self) -> set[str]:
        """`name@version` of those that are being loaded."""
        return self._loader.loading

    @property
    def kept_in(self) -> str | None:
        """The file that keeps changes over restarts."""
        return None if self._file.path is None else str(self._file.path)

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
        self._metrics.model(potential.card, potential.digest, lambda: potential.depth)
        told = (potential.reference, potential.digest[:12], potential.runs_on)
        log.info("model %s is served (%s) by %s", *told)
