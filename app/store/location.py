"""Which store and which model are meant where nobody says."""

import os
from pathlib import Path

MODEL_STORE = "EQUIPOT_MODEL_STORE"
"""The environment variable that names the store."""
DEFAULT_MODEL = "organic-xtb"
"""The bundled model that answers where none is named."""


def default_store() -> Path:
    """`EQUIPOT_MODEL_STORE`, else `model_store` of the working directory, else the bundled one."""
    if given := os.environ.get(MODEL_STORE):
        return Path(given)
    local = Path("model_store")
    return local if local.is_dir() else bundled_store()


def bundled_store() -> Path:
    """The store that comes with Equipot: beside the package in a checkout, within it once installed.

    It may not be there: an image, for one, leaves it out in favour of its own.
    """
    package = Path(__file__).resolve().parents[1]
    within = package / "model_store"
    return within if within.is_dir() else package.parent / "model_store"
