"""Wanted: what of the store is to be loaded, and in which order."""

from collections.abc import Container, Iterable, Mapping, Sequence

from app.errors import UnknownModel
from app.service.deployment import Deployment
from app.settings import Settings
from app.store.store import ModelStore


class Wanted:
    """What of a store is to be loaded. Its methods block.

    Args:
        settings: of the service.
        store: as it is whenever it is looked at.
    """

    def __init__(self, settings: Settings, store: ModelStore) -> None:
        self._settings, self._store = settings, store

    def look(self, deployment: Deployment) -> tuple[list[str], dict[str, str]]:
        """References to load, the default models' first, in their order, a bare name only where the
        store has no such model; and what of the store can be no version, and why.

        Args:
            deployment: what was changed of the settings.

        Raises:
            OSError: the store cannot be read.
            UnreachableStore: it is at a URL, which cannot be asked.
        """
        wanted = dict.fromkeys([*self.stated(), *deployment.load, *deployment.named])
        defaults = deployment.default or self._settings.default_model
        left = [reference for reference in wanted if reference not in deployment.unload]
        return sorted(left, key=lambda each: _rank(each, defaults)), self._store.strays()

    def stated(self) -> list[str]:
        """References that the settings load.

        Raises:
            OSError: the store cannot be read.
            UnreachableStore: it is at a URL, which cannot be asked.
        """
        return [self._resolved(reference) for reference in self._settings.models] or [
            f"{name}@{version}"
            for name in self._store.names()
            for version in reversed(self._store.versions(name))
        ]

    def unwanted(
        self, served: Iterable[str], wanted: Container[str], refused: Mapping[str, object]
    ) -> list[str]:
        """Served versions that are to leave; one that is still in the store stays for a refused one
        of its name.
        """
        failed = {key.partition("@")[0] for key in refused if key in wanted}
        leaving = []
        for key in served:
            name, _, version = key.partition("@")
            stands_in = name in failed and int(version) in self._store.versions(name)
            if key not in wanted and not stands_in:
                leaving.append(key)
        return leaving

    def _resolved(self, reference: str) -> str:
        try:
            name, version = self._store.resolve(reference)
        except UnknownModel:
            return reference
        return f"{name}@{version}"


def _rank(reference: str, defaults: Sequence[str]) -> int:
    """Lower for what is to be loaded earlier: defaults, other versions of them, all others."""
    name = reference.partition("@")[0]
    for known in (reference, name):
        if known in defaults:
            return defaults.index(known)
    names = {default.partition("@")[0] for default in defaults}
    return len(defaults) + (name not in names)
