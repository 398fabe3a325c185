"""From a training run to a certified version in the model store."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import ase.io
import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from app.backends.onnx import OnnxBackend
from app.errors import InvalidConfig, TrainingError
from app.formats.ase_atoms import from_ase
from app.store import ARTIFACT, ModelCard, ModelStore, StoredModel
from app.structure import Structure
from app.training.certificate import certify
from app.training.config import TrainConfig
from app.training.config_file import load_config
from app.training.models import Statistics, build_model
from app.training.run_folder import RunFolder
from app.training.tracing import export_onnx

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


class About(BaseModel):
    """What a person says about a model, beside what is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    license: str = ""
    limitations: tuple[str, ...] = ()


class TrainedRun:
    """A training run's folder, read back; its weights are read once, since the run may still go on.

    Args:
        path: the folder.

    Raises:
        TrainingError: the folder holds no weights, or no complete run.
    """

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path)
        needed = (self.folder.config, self.folder.statistics, self.folder.weights, self.folder.held_out)
        for file in needed:
            if not file.is_file():
                raise TrainingError(f"{file} is missing; is {path} the folder of a run that was evaluated once?")
        self.config: TrainConfig = load_config(self.folder.config)
        self.statistics = Statistics.model_validate_json(self.folder.statistics.read_text())
        self.weights = load_file(self.folder.weights)

    def model(self, dtype: torch.dtype) -> nn.Module:
        """The model with the run's best weights."""
        model = build_model(self.config.model, self.statistics, torch.float64)
        model.load_state_dict({name: tensor.double() for name, tensor in self.weights.items()})
        return model.to(dtype).eval()

    def held_out(self) -> list[Structure]:
        """Some structures that the model was not trained on."""
        return [from_ase(atoms) for atoms in ase.io.read(self.folder.held_out, index=":", format="extxyz")]

    def metrics(self) -> dict[str, Any]:
        """The run's result; what is known so far where the run has not ended."""
        if not self.folder.result.is_file():
            return {}
        content: dict[str, Any] = json.loads(self.folder.result.read_text())
        return content


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
        raise InvalidConfig(f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}") from error


def export(
    run: TrainedRun, store: ModelStore, name: str, about: About, dtype: Literal["float32", "float64"] = "float32"
) -> StoredModel:
    """Export, certify and publish a run's best weights as the next version of a model.

    Args:
        run: the run.
        store: where to publish.
        name: of the model.
        about: description, licence and limitations for the card.
        dtype: of the artifact.

    Returns:
        The published version.

    Raises:
        CertificateRefused: the artifact deviates from the model; nothing is published.
        ModelExists: another process published this version meanwhile.
    """
    model = run.model(DTYPES[dtype])
    card = _card(run, name, store.next_version(name), about, dtype, sum(p.numel() for p in model.parameters()))
    with store.publish(card) as publication:
        export_onnx(model, publication.folder / ARTIFACT)
        backend = OnnxBackend(card, publication.folder)
        certificate = certify(backend, run.model(torch.float64), run.held_out())
        publication.card = card.model_copy(update={"certificate": certificate})
        save_file(run.weights, publication.folder / run.folder.weights.name)
        for file in (run.folder.config, run.folder.statistics, run.folder.result):
            if file.is_file():
                shutil.copyfile(file, publication.folder / file.name)
    return store.load(f"{name}@{card.version}")


def _card(run: TrainedRun, name: str, version: int, about: About, dtype: Any, parameters: int) -> ModelCard:
    model = run.config.model
    return ModelCard(
        name=name,
        version=version,
        description=about.description,
        architecture=model.architecture,
        backend="onnx",
        elements=run.statistics.elements,
        atomic_energies=run.statistics.atomic_energies,
        cutoff=model.cutoff,
        receptive_field=model.receptive_field,
        dtype=dtype,
        parameters=parameters,
        created=datetime.now(UTC).replace(microsecond=0).isoformat(),
        license=about.license,
        limitations=about.limitations,
        metrics=run.metrics(),
    )
