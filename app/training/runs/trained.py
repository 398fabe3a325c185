"""What a training run, or a committee of runs, left: read back for evaluation and export."""

import json
from pathlib import Path
from typing import Any

import ase.io
import torch
from safetensors.torch import load_file
from torch import nn

from app.atoms.structure import Structure
from app.errors import TrainingError
from app.formats.ase_atoms import from_ase
from app.store.card import Origin
from app.store.imported import Imported
from app.training.models import ModelConfig, build_model
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import load_config
from app.training.runs.folder import CommitteeFolder, RunFolder

UNTRAINED_FORCES = (
    "its training was on energies alone: forces and stresses were compared with none in it"
)


class TrainedRun:
    """A training run's folder, read back; its weights are read once, since the run may still go on.

    Args:
        path: the folder of a run, or of a committee.

    Attributes:
        folder: of the run, or of the committee's first member.
        config: of the run; members differ in their seed only.
        statistics: which all members share.
        weight_files: of each member.
        weights: the best weights of each member.

    Raises:
        TrainingError: the folder holds no weights, or no complete run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        folders = CommitteeFolder(path).members() or [RunFolder(path)]
        for folder in folders:
            for file in (folder.config, folder.statistics, folder.weights, folder.held_out):
                if not file.is_file():
                    raise TrainingError(
                        f"{file} is missing; is {folder.path} the folder of a run that was evaluated once?"
                    )
        self.folder = folders[0]
        self.config: TrainConfig = load_config(self.folder.config)
        self.statistics = self.folder.saved_statistics()
        self.weight_files = [folder.weights for folder in folders]
        self.weights = [load_file(file) for file in self.weight_files]

    closed_shell = True

    @property
    def model(self) -> ModelConfig:
        """Architecture and hyperparameters."""
        return self.config.model

    @property
    def limitations(self) -> tuple[str, ...]:
        """What its card has to say."""
        return () if self.config.loss.largest("forces") else (UNTRAINED_FORCES,)

    def models(self, dtype: torch.dtype) -> list[nn.Module]:
        """The model with the run's best weights, or those of all members."""
        models: list[nn.Module] = []
        for weights in self.weights:
            model = build_model(self.config.model, self.statistics, torch.float64)
            model.load_state_dict({name: tensor.double() for name, tensor in weights.items()})
            models.append(model.to(dtype).eval())
        return models

    def held_out(self) -> list[Structure]:
        """Some structures that no member was trained on."""
        return [
            from_ase(atoms)
            for atoms in ase.io.read(self.folder.held_out, index=":", format="extxyz")
        ]

    def origin(self) -> Origin | None:
        """The model whose weights the run began with."""
        if not self.folder.origin.is_file():
            return None
        return Origin.model_validate_json(self.folder.origin.read_text())

    def imported(self) -> Imported | None:
        """None: it was trained here."""
        return None

    def files(self) -> dict[str, bytes]:
        """What is published besides the weights: how it was trained, and to which errors."""
        sources = (self.folder.config, self.folder.statistics, self.result)
        return {file.name: file.read_bytes() for file in sources if file.is_file()}

    @property
    def result(self) -> Path:
        """The file with the metrics of the whole; not there while the run goes on."""
        return RunFolder(self.path).result

    def metrics(self) -> dict[str, Any]:
        """The content of that file; nothing where the run has not ended."""
        if not self.result.is_file():
            return {}
        content: dict[str, Any] = json.loads(self.result.read_text())
        return content
