"""Administration: changes of what is served, while it is served."""

import asyncio
import re
from collections.abc import Collection, Sequence

from app.errors import InvalidRequest, ModelInUse, UnknownModel
from app.protocol.admin import LONGEST_NAME, AdminAnswer, Alias, is_exact
from app.service.deployment import Deployment
from app.service.listing import administered, file_sizes
from app.service.models import Models
from app.store.card import NAME_PATTERN


class Administration:
    """Loads, unloads, and says what names stand for. What is wrong changes nothing.

    Args:
        models: of the service.
    """

    def __init__(self, models: Models) -> None:
        self._models = models

    async def shown(self) -> AdminAnswer:
        """All versions with their states, the default, and the aliases."""
        return administered(self._models, await asyncio.to_thread(file_sizes, self._models.store))

    async def reload(self) -> None:
        """Read store and deployment again.

        Raises:
            EquipotError: as `Models.read_again`.
        """
        await self._models.read_again()

    async def load(self, reference: str) -> None:
        """Have a version served; one that is served already stays.

        Raises:
            EquipotError: as `Models.load`.
        """
        await self._models.load(reference)

    async def unload(self, reference: str) -> None:
        """Have a version, or all versions of a name, take no more requests; what they have is
        finished.

        Raises:
            UnknownModel: there is none.
            ModelInUse: an alias or the default needs it, or it is being loaded.
        """
        known = await asyncio.to_thread(file_sizes, self._models.store)
        keys: list[str] = []

        def unloaded(deployment: Deployment) -> Deployment:
            keys.extend(self._versions(reference, known))
            for key in keys:
                self._check_unused(key)
            return deployment.unloading(keys)

        await self._models.deploy(unloaded)
        for key in keys:
            self._models.refused.pop(key, None)
        self._models.leave(key for key in keys if key in self._models.potentials)

    async def set_default(self, names: Sequence[str]) -> None:
        """Have other models answer requests that name none.

        Raises:
            InvalidRequest: one is named twice.
            StoreError: one is not served.
        """
        for place, name in enumerate(names):
            if name in names[:place]:
                raise InvalidRequest(f"models: '{name}' is given twice")

        def changed(deployment: Deployment) -> Deployment:
            for name in names:
                for key in self._models.meant(name):
                    self._models.check_served(key, name)
            return deployment.changed(default=tuple(names))

        await self._models.deploy(changed)

    async def set_alias(self, name: str, alias: Alias) -> None:
        """Have a name stand for something else.

        Raises:
            InvalidRequest: it is no name, or that of a model, and is to stand for another one.
            StoreError: a version is not served.
        """
        if not re.fullmatch(NAME_PATTERN, name) or len(name) > LONGEST_NAME:
            raise InvalidRequest(
                f"alias '{name[:LONGEST_NAME]}': lower-case letters, digits, '.', '_' and '-' are "
                f"expected, {LONGEST_NAME} at most"
            )

        def changed(deployment: Deployment) -> Deployment:
            for key in alias.shares:
                self._models.check_served(key, key)
                if self._of(name) and key.partition("@")[0] != name:
                    raise InvalidRequest(
                        f"alias '{name}' is the name of a model, and '{key}' is another model, which "
                        f"those who ask for '{name}' do not expect: take another name, and make that "
                        "the default if need be (PUT /admin/default)"
                    )
            return deployment.changed(aliases={**deployment.aliases, name: alias})

        await self._models.deploy(changed)

    async def remove_alias(self, name: str) -> None:
        """Have a name stand for nothing, or for the newest version of the model of that name.

        Raises:
            UnknownModel: there is no such alias.
            ModelInUse: it is the default, and no model has that name.
        """

        def changed(deployment: Deployment) -> Deployment:
            if name not in deployment.aliases:
                known = ", ".join(deployment.aliases) or "none"
                raise UnknownModel(f"no alias '{name[:LONGEST_NAME]}'; there are: {known}")
            if name in self._models.default and not self._of(name):
                raise ModelInUse(
                    f"alias '{name}' answers requests that name no model, and no model has that name; "
                    "make another one the default first (PUT /admin/default)"
                )
            left = {key: alias for key, alias in deployment.aliases.items() if key != name}
            return deployment.changed(aliases=left)

        await self._models.deploy(changed)

    def _of(self, name: str) -> list[str]:
        """Versions of a name that are served."""
        return [key for key in self._models.potentials if key.partition("@")[0] == name]

    def _versions(self, reference: str, known: Collection[str]) -> list[str]:
        """Versions that a reference to unload means.

        Args:
            reference: `name` or `name@version`.
            known: `name@version` of what the store has.
        """
        models = self._models
        there = {*models.potentials, *models.leaving, *models.loading, *models.refused, *known}
        there |= set(models.deployment.load)
        found = [reference] if reference in there and is_exact(reference) else self._of(reference)
        if found:
            return found
        if reference in models.deployment.aliases:
            raise UnknownModel(
                f"'{reference}' is an alias; DELETE /admin/aliases/{reference} removes it, and what it "
                "stands for is unloaded by its own name"
            )
        served = ", ".join(models.potentials) or "none"
        raise UnknownModel(f"no model '{reference[:LONGEST_NAME]}'; served: {served}")

    def _check_unused(self, key: str) -> None:
        models = self._models
        if key in models.loading:
            raise ModelInUse(f"model '{key}' is being loaded; unload it when it is")
        if names := models.deployment.names_of(key):
            share = models.deployment.aliases[names[0]].shares[key]
            raise ModelInUse(
                f"model '{key}' has {share:g} % of the alias '{names[0]}'; give that to others first "
                f"(PUT /admin/aliases/{names[0]})"
            )
        if key in models.potentials and any(key in models.meant(name) for name in models.default):
            raise ModelInUse(
                f"model '{key}' answers requests that name no model; make another one the default "
                "first (PUT /admin/default), or an alias of its name (PUT /admin/aliases/"
                f"{key.partition('@')[0]})"
            )
