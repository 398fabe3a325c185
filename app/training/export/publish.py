"""From a training run to a certified version in the model store."""

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file

from app.atoms.structure import Structure
from app.backends.aoti import open_aoti
from app.backends.kernel import open_kernel
from app.backends.onnx import open_onnx
from app.errors import BackendError, InvalidConfig
from app.store.card import ARTIFACT, ENERGIES, NAME_PATTERN, Kernel, ModelCard, member_files
from app.store.store import ModelStore, StoredModel
from app.training.export.aoti import compile_packages, packages_for_here
from app.training.export.certificate import certify
from app.training.export.onnx import EXPORT_STEPS, cut_energies, export_onnx
from app.training.export.probe import probe_of
from app.training.export.publishable import Publishable
from app.training.export.steps import Steps
from app.training.models.network import Network

WEIGHTS = "weights.safetensors"
log = logging.getLogger(__name__)

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


class About(BaseModel):
    """What a person says about a model, beside what is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    license: str = ""
    limitations: tuple[str, ...] = ()


def read_about(path: Path) -> About:
    """Read a description from a YAML file.

    Raises:
        InvalidConfig: no such file, or an unknown or ill-typed key.
    """
    try:
        return About.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidConfig(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        detail = error.errors()[0]
        raise InvalidConfig(
            f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
        ) from error


def check_name(name: str) -> None:
    """Make sure that a model can have this name.

    Raises:
        InvalidConfig: it cannot.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidConfig(
            f"'{name}' cannot be the name of a model: lower-case letters, digits, '.', '_' and '-'"
        )


def export(
    run: Publishable,
    store: ModelStore,
    name: str,
    about: About,
    dtype: Literal["float32", "float64"] = "float32",
    aoti: bool = False,
    steps: Steps | None = None,
) -> StoredModel:
    """Export, certify and publish the best weights of a run, or of all members, as the next version
    of a model.

    Args:
        run: the run, the committee, or a model that was imported.
        store: where to publish.
        name: of the model.
        about: description, licence and limitations for the card.
        dtype: of the artifact.
        aoti: whether to compile packages of AOTInductor, too, and certify them like the artifact.
        steps: are told of each step as it begins and ends.

    Returns:
        The published version.

    Raises:
        InvalidConfig: no model can have this name.
        CertificateRefused: the artifact, or what the native kernel makes of the weights, deviates
            from the model; nothing is published.
        TrainingError: packages cannot be compiled here; nothing is published.
        ModelExists: another process published this version meanwhile.
    """
    check_name(name)
    shown = Steps() if steps is None else steps
    models = run.answering(DTYPES[dtype])
    packages = packages_for_here(models[0]) if aoti else None
    parameters = sum(p.numel() for model in models for p in model.parameters())
    card = card_of(run, name, store.next_version(name), about, dtype, parameters)
    shown.expect(steps_of(card.members, aoti))
    with store.publish(card) as publication:
        files = (member_files(kind, card.members) for kind in (ARTIFACT, ENERGIES))
        for model, artifact, energies in zip(models, *files, strict=True):
            export_onnx(model, publication.folder / artifact, shown)
            with shown.step(f"cutting out {energies}"):
                cut_energies(publication.folder / artifact, publication.folder / energies)
        for weights, file in zip(run.weights, member_files(WEIGHTS, card.members), strict=True):
            save_file(weights, publication.folder / file)
        for file, content in run.files().items():
            (publication.folder / file).write_bytes(content)
        exact = run.answering(torch.float64)
        with shown.step("certifying the artifact"):
            certificate = certify(open_onnx(card, publication.folder), exact, run.held_out())
        with shown.step("certifying the native kernel"):
            kernel = _certified_kernel(card, publication.folder, exact, run.held_out())
        if packages is not None:
            with shown.step("compiling packages of AOTInductor"):
                compile_packages(models, packages, publication.folder)
            compiled = open_aoti(card.model_copy(update={"aoti": packages}), publication.folder)
            with shown.step("certifying the packages"):
                of_packages = certify(compiled, exact, run.held_out(), "the package")
            packages = packages.model_copy(update={"certificate": of_packages})
        with shown.step("making the probe"):
            probe = probe_of(exact, card, certificate.tolerance)
        publication.card = card.model_copy(
            update={"certificate": certificate, "probe": probe, "aoti": packages, "kernel": kernel}
        )
    return store.load(f"{name}@{card.version}")


def steps_of(members: int = 1, aoti: bool = False) -> int:
    """How many steps the export of so many members has, with packages of AOTInductor or without."""
    return (EXPORT_STEPS + 1) * members + (5 if aoti else 3)


def _certified_kernel(
    card: ModelCard, folder: Path, exact: Sequence[Network], held_out: Sequence[Structure]
) -> Kernel | None:
    """The native kernel and its certificate, where it is installed and can run the model."""
    try:
        backend = open_kernel(card, folder)
    except BackendError as error:
        log.info("%s is not certified in the native kernel: %s", card.reference, error)
        return None
    certificate = certify(backend, exact, held_out, f"the native kernel ({backend.runtime})")
    return Kernel(runtime=backend.runtime, certificate=certificate)


def card_of(
    run: Publishable,
    name: str,
    version: int,
    about: About,
    dtype: Literal["float32", "float64"],
    parameters: int,
) -> ModelCard:
    """The card of a version that is not certified yet.

    Args:
        run: the run, or the committee.
        name: of the model.
        version: of the model.
        about: description, licence and limitations.
        dtype: of the artifact.
        parameters: of all members.
    """
    model = run.model
    return ModelCard(
        name=name,
        version=version,
        description=about.description,
        architecture=model.architecture,
        backend="onnx",
        elements=run.statistics.elements,
        atomic_energies=run.statistics.atomic_energies,
        lone_ions=run.statistics.lone_ions if model.takes_charge else {},
        charge_energies=run.statistics.charge_energies if model.takes_charge else {},
        cutoff=model.cutoff,
        receptive_field=model.receptive_field,
        takes_charge=model.takes_charge,
        dtype=dtype,
        parameters=parameters,
        members=len(run.weights),
        trained_on=run.statistics.trained_on,
        energies_alone=True,
        closed_shell=run.closed_shell,
        uncertainty=run.metrics().get("uncertainty") if run.uncertainty is not None else None,
        fine_tuned_from=run.origin(),
        imported=run.imported(),
        created=datetime.now(UTC).replace(microsecond=0).isoformat(),
        license=about.license,
        limitations=(*about.limitations, *run.limitations),
        metrics=run.metrics(),
    )
