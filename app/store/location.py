"""Which store and which model are meant where nobody says."""

import os
from pathlib import Path

MODEL_STORE = "EQUIPOT_MODEL_STORE"
"""The environment variable that names the store."""
DEFAULT_MODEL = "organic-xtb"
"""The bundled model that answers where none is named."""


def own_store() -> Path:
    """Where models are published: `EQUIPOT_MODEL_STORE`, else `model_store` of the working
    directory.
    """
    return Path(os.environ.get(MODEL_STORE) or "model_store")


def default_store() -> Path:
    """Where models are looked for: the store of one's own, or the bundled one where the working
    directory has none and the environment names none.
    """
    own = own_store()
    return own if os.environ.get(MODEL_STORE) or own.is_dir() else bundled_store() or own


def bundled_store() -> Path | None:
    """The store that comes with Equipot: beside the package in a checkout, within it once it is
    installed; None where it was left out, as in the images, which have one elsewhere.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "model_store", package.parent / "model_store")
    return next((place for place in places if place.is_dir()), None)
