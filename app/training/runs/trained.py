"""What a training run, or a committee of runs, left: read back for evaluation and export."""

import json
from pathlib import Path
from typing import Any

import ase.io
import torch
from safetensors.torch import load_file

from app.atoms.structure import Structure
from app.errors import TrainingError
from app.formats.ase_atoms import from_ase
from app.store.card import Origin
from app.store.imported import Imported
from app.training.models import ModelConfig, build_model
from app.training.models.network import Network
from app.training.models.uncertainty import Uncertainty, WithUncertainty
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import dump_config, load_config
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
        uncertainty: the head that estimates the errors of a single model; None of a committee, and
            of a run that has not ended.

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
        estimated = len(folders) == 1 and self.folder.uncertainty.is_file()
        self.uncertainty = load_file(self.folder.uncertainty) if estimated else None

    closed_shell = True

    @property
    def model(self) -> ModelConfig:
        """Architecture and hyperparameters."""
        return self.config.model

    @property
    def limitations(self) -> tuple[str, ...]:
        """What its card has to say."""
        return () if self.config.loss.largest("forces") else (UNTRAINED_FORCES,)

    def models(self, dtype: torch.dtype) -> list[Network]:
        """The model with the run's best weights, or those of all members."""
        models: list[Network] = []
        for weights in self.weights:
            model = build_model(self.config.model, self.statistics, torch.float64)
            model.load_state_dict({name: tensor.double() for name, tensor in weights.items()})
            models.append(model.to(dtype).eval())
        return models

    def answering(self, dtype: torch.dtype) -> list[Network]:
        """The same, with the estimates of its errors where a single model has them."""
        networks = self.models(dtype)
        if self.uncertainty is None:
            return networks
        width = self.uncertainty["mean"].shape[1]
        head = Uncertainty(len(self.statistics.elements), width)
        head.load_state_dict(self.uncertainty)
        head.requires_grad_(False)
        return [WithUncertainty(networks[0], head.to(dtype)).eval()]

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
        """What a reader of the published model may want besides the weights, by name."""
        folder = self.folder
        head = [folder.uncertainty, folder.calibration] if self.uncertainty is not None else []
        sources = [folder.statistics, self.result, self.parity, *head]
        files = {file.name: file.read_bytes() for file in sources if file.is_file()}
        return {folder.config.name: self._published_config(), **files}

    def _published_config(self) -> bytes:
        """The config, where the run's start has a name: its path is one of this machine."""
        config, origin = load_config(self.folder.config), self.origin()
        if config.start is not None and origin is not None:
            start = config.start.model_copy(update={"model": origin.reference})
            config = config.model_copy(update={"start": start})
        return dump_config(config).encode()

    @property
    def result(self) -> Path:
        """The file with the metrics of the whole; not there while the run goes on."""
        return RunFolder(self.path).result

    @property
    def parity(self) -> Path:
        """The picture of predictions of the whole against labels; not there while the run goes on."""
        return RunFolder(self.path).parity

    def metrics(self) -> dict[str, Any]:
        """The content of that file; nothing where the run has not ended."""
        if not self.result.is_file():
            return {}
        content: dict[str, Any] = json.loads(self.result.read_text())
        return content
