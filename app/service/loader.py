"""Loading: from a version of the store to a potential that may be asked."""

import asyncio
import logging

from app.engine.calibration_cache import CalibrationCache
from app.engine.load import load_potential
from app.engine.potential import Potential
from app.errors import BackendError, EquipotError, OutOfMemory
from app.service.elsewhere import Elsewhere
from app.service.metrics import Metrics
from app.service.options import potential_options
from app.settings import Settings
from app.store.store import ModelStore

log = logging.getLogger(__name__)


class Loader:
    """Loads models and warms them up, beside the event loop.

    Args:
        settings: of the service.
        store: where they come from.
        metrics: is told what they do.
        elsewhere: runs them, in the place of this process.

    Attributes:
        loading: `name@version` of those that are being loaded.
    """

    def __init__(
        self,
        settings: Settings,
        store: ModelStore,
        metrics: Metrics,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.loading: set[str] = set()
        self._store, self._metrics, self._elsewhere = store, metrics, elsewhere
        self._options = potential_options(settings)
        self._cache = CalibrationCache(settings.cache)

    async def load(self, reference: str) -> Potential:
        """A version that is warm, and not yet started.

        Raises:
            StoreError: there is none, or it is not what its card says.
            OutOfMemory: there is not enough memory for it.
            BackendError: it cannot be run; the log has the traceback of what nobody expected.
        """
        self.loading.add(reference)
        try:
            if self._elsewhere is not None:
                return await self._elsewhere.opened(reference, self._options)
            return await asyncio.to_thread(self._open, reference)
        except EquipotError as error:
            log.error("model %s is refused: %s", reference, error)
            raise
        except Exception as error:
            log.exception("model %s is refused: %s", reference, error)
            raise BackendError(str(error)) from error
        finally:
            self.loading.discard(reference)

    def _open(self, reference: str) -> Potential:
        model = self._store.load(reference)
        observer = self._metrics.observer(model.card.reference)
        try:
            potential = load_potential(model, self._options, observer, self._cache)
            potential.warm_up()
        except (OutOfMemory, MemoryError) as error:
            raise OutOfMemory(
                f"model '{reference}' needs more memory than there is ({error}); unload another one "
                "first, or give the process more; what is served goes on"
            ) from error
        return potential
