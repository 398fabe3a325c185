"""How a model of a store is opened, so that a copy, or another process, can do it again."""

from dataclasses import dataclass

from app.backends import Backend, load_backend
from app.backends.device import BackendChoice
from app.store.location import Place, open_store


@dataclass(frozen=True, slots=True)
class Opening:
    """How a model of a store is opened.

    Attributes:
        model: `name` or `name@version`.
        store: folder or URL.
        threads: numerics threads; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        backend: what runs it.
        deterministic: the same bits whatever else is in a graph.
    """

    model: str
    store: Place
    threads: int = 0
    device: str = "cpu"
    backend: BackendChoice = "auto"
    deterministic: bool = False

    def __call__(self) -> Backend:
        """Open it.

        Raises:
            UnknownModel: no such model.
            BackendError: the runtime is missing or cannot use the device or the artifact.
        """
        return load_backend(
            open_store(self.store).load(self.model),
            threads=self.threads,
            device=self.device,
            deterministic=self.deterministic,
            backend=self.backend,
        )
