"""Which store and which model are meant where nobody says, and what opens a store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from app.errors import InvalidRequest

if TYPE_CHECKING:
    from app.store.store import ModelStore

MODEL_STORE = "EQUIPOT_MODEL_STORE"
"""The environment variable that names the store."""
CACHE = "EQUIPOT_CACHE"
"""The environment variable that names the folder of what may be lost."""
DEFAULT_MODEL = "organic-xtb"
"""The bundled model that answers where none is named."""

Place: TypeAlias = Path | str
"""A folder, or a URL of fsspec, where a store is."""


def own_store() -> Place:
    """Where models are published: `EQUIPOT_MODEL_STORE`, else `model_store` of the working
    directory.
    """
    return located(os.environ.get(MODEL_STORE) or "model_store")


def default_store() -> Place:
    """Where models are looked for: the store of one's own, or the bundled one where the working
    directory has none and the environment names none.
    """
    own = own_store()
    is_there = isinstance(own, str) or own.is_dir()
    return own if os.environ.get(MODEL_STORE) or is_there else bundled_store() or own


def bundled_store() -> Path | None:
    """The store that comes with Equipot: beside the package in a checkout, within it once it is
    installed; None where it was left out, as in the images, which have one elsewhere.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "model_store", package.parent / "model_store")
    return next((place for place in places if place.is_dir()), None)


def located(place: Place) -> Place:
    """A URL as it is, and all else as a path."""
    return place if isinstance(place, str) and "://" in place else Path(place)


def absolute(place: Place) -> Place:
    """The same in any working directory."""
    return place if isinstance(place := located(place), str) else place.resolve()


def default_cache() -> Path | None:
    """`EQUIPOT_CACHE`, else `equipot` in the user's folder for caches; None where the variable is
    empty, or there is no such folder.
    """
    stated = os.environ.get(CACHE)
    if stated is not None:
        return Path(stated) if stated else None
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = os.environ.get("HOME", "")
    return Path(given) / "equipot" if given else Path(home) / ".cache" / "equipot" if home else None


def open_store(place: Place, cache: Path | None = None) -> "ModelStore":
    """The store in a folder, or at a URL with copies of its versions in a cache.

    Args:
        place: of the store.
        cache: folder of the copies; `default_cache()` where not given.

    Raises:
        InvalidRequest: fsspec, or what it needs for such a URL, is not installed; or there is no
            folder for the copies.
    """
    from app.store.store import ModelStore

    if isinstance(place := located(place), Path):
        return ModelStore(place)
    from app.store.cached import CachedStore

    folder = cache or default_cache()
    if folder is None:
        raise InvalidRequest(
            f"a store at {place} needs a folder for copies of its versions: set {CACHE}"
        )
    return CachedStore(place, folder)
