"""A whole import: read, compare with the package, export, certify, publish."""

import tempfile
import warnings
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Literal

from app.errors import InvalidConfig
from app.store.store import ModelStore, StoredModel
from app.training.export.publish import About, check_name, export, steps_of
from app.training.export.steps import Steps
from app.training.importers.catalogue import FORMATS, PUBLISHED, fetch
from app.training.importers.comparison import compare, crystals
from app.training.importers.imported import ImportedModel

NOT_COMPARED = (
    "it was not compared with the package that it was trained with, which was not installed"
)


def import_model(
    what: str,
    file: Path | None,
    store: ModelStore,
    name: str | None,
    about: About,
    dtype: Literal["float32", "float64"],
    steps: Steps,
) -> StoredModel:
    """Publish a model of another package as the next version of a model.

    Args:
        what: a published model or a format.
        file: of the format.
        store: where to publish.
        name: of the model; by default that of the published model or of the file.
        about: wins over what is known of a published model.
        dtype: of the artifact.
        steps: are told of each step as it begins and ends.

    Raises:
        InvalidConfig: no such format or published model, or no file where one is needed.
        TrainingError: the file cannot be read; see `Importer.read`.
        CertificateRefused: the model deviates from its package's, or the artifact from the model.
    """
    if what in PUBLISHED and file is None:
        published = PUBLISHED[what]
        known = About(description=published.description, license=published.license)
        about = known.model_copy(update=about.model_dump(exclude_unset=True))
        check_name(name or what)
        with tempfile.TemporaryDirectory() as folder:
            path = fetch(published, Path(folder))
            model = _read(published.format, path, steps)
        known_range = published.training_range()
        statistics = model.statistics.model_copy(update={"trained_on": known_range})
        limitations = (*published.limitations, *model.limitations)
        model = replace(
            model, statistics=statistics, limitations=limitations, measured=published.measured()
        )
    elif what in FORMATS and file is not None:
        name = name or file.stem.lower()
        check_name(name)
        model = _read(what, file, steps)
    else:
        raise InvalidConfig(
            f"models import {what}: write one of {', '.join(PUBLISHED)}, or one of "
            f"{', '.join(FORMATS)} and a file"
        )
    return export(model, store, name or what, about, dtype, steps=steps)


def _read(kind: str, path: Path, steps: Steps) -> ImportedModel:
    """The model, compared with its package where that is installed."""
    chosen = FORMATS[kind]
    steps.expect(2 + steps_of())
    with steps.step(f"reading {path.name}"):
        model = chosen.importer.read(path)
    model = replace(model, structures=crystals(model.statistics.elements))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own, of what it is built on
        try:
            calculator = chosen.importer.calculator(path)
        except ImportError as error:
            steps.say(f"not compared with {chosen.package}, which cannot be imported: {error}")
            return replace(model, limitations=(*model.limitations, NOT_COMPARED))
        package = f"{chosen.package} {metadata.version(chosen.package)}"
        with steps.step(f"comparing with {chosen.package}"):
            return model.compared(compare(model, calculator, package))
