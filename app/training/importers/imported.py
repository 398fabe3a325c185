"""What an importer gives: a model of our own, with the weights of another package's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from ase.calculators.calculator import Calculator
from torch import Tensor

from app.atoms.structure import Structure
from app.errors import TrainingError
from app.store.card import Origin
from app.store.imported import Comparison, Imported
from app.training.evaluation.errors import Errors
from app.training.models import ModelConfig, Statistics, build_model
from app.training.models.mace import MACE
from app.training.models.nequip import NequIP
from app.training.models.network import Network


@dataclass(frozen=True)
class ImportedModel:
    """A model read from another package's file; `app.training.export` publishes it like a run.

    Attributes:
        model: architecture and hyperparameters.
        statistics: elements, reference energies and scales.
        tensors: of the network, by the names of our parameters, float64.
        source: where it comes from.
        structures: that the certificate takes besides the synthetic ones.
        limitations: what its card has to say.
        measured: errors of these weights on frames, by the name of the set, for its card.
    """

    model: ModelConfig
    statistics: Statistics
    tensors: dict[str, Tensor]
    source: Imported
    structures: Sequence[Structure] = ()
    limitations: tuple[str, ...] = ()
    measured: Mapping[str, Errors] = field(default_factory=dict)

    def network(self) -> Network:
        """The eager model in float64."""
        (model,) = self.models(torch.float64)
        return model

    def models(self, dtype: torch.dtype) -> list[Network]:
        """The model, alone in a list, as exports take it."""
        model = build_model(self.model, self.statistics, torch.float64)
        model.load_state_dict(self.tensors)
        return [model.to(dtype).eval()]

    closed_shell = False
    uncertainty = None

    @cached_property
    def weights(self) -> list[dict[str, Tensor]]:
        """What is kept in the store, to train on from, in float32 as the source has them."""
        return [{name: tensor.float().contiguous() for name, tensor in self.tensors.items()}]

    def answering(self, dtype: torch.dtype) -> list[Network]:
        """The same: it has no estimates of its errors."""
        return self.models(dtype)

    def held_out(self) -> list[Structure]:
        """Structures for the certificate."""
        return list(self.structures)

    def origin(self) -> Origin | None:
        """None: it was not trained on from a model of ours."""
        return None

    def imported(self) -> Imported | None:
        """Where it comes from."""
        return self.source

    def files(self) -> dict[str, bytes]:
        """Architecture and statistics, from which training can go on."""
        config = yaml.safe_dump({"model": self.model.model_dump(mode="json")}, sort_keys=False)
        statistics = self.statistics.model_dump_json(indent=2) + "\n"
        return {"config.yaml": config.encode(), "statistics.json": statistics.encode()}

    def metrics(self) -> dict[str, Any]:
        """The errors that are known of a published model; nothing is measured here."""
        return {
            name: errors.model_dump(exclude_none=True) for name, errors in self.measured.items()
        }

    def compared(self, comparison: Comparison) -> "ImportedModel":
        """The same, with what a comparison with its own package found."""
        return replace(self, source=self.source.model_copy(update={"comparison": comparison}))


class Importer(Protocol):
    """Reads the files of one package; an importer is a module of this room that has both."""

    def read(self, path: Path) -> ImportedModel:
        """The model in a file.

        Raises:
            TrainingError: no such file, another format, something that our architectures do not
                have, or weights that are missing or left over; all are named.
        """

    def calculator(self, path: Path) -> Calculator:
        """The package's own calculator of the file.

        Raises:
            ImportError: the package, or one that it needs, is not installed.
        """


class StateReader:
    """The tensors of a file, each of which must be taken once, by its name and with its size.

    Args:
        tensors: by name.
        source: of the file, for errors.
    """

    def __init__(self, tensors: dict[str, Tensor], source: str) -> None:
        self.left = dict(tensors)
        self.source = source

    def take(self, name: str, *shape: int) -> Tensor:
        """A tensor, in float64, of a shape; a single −1 is any size.

        Raises:
            TrainingError: it is missing, or has another shape.
        """
        if name not in self.left:
            raise TrainingError(f"{self.source}: it lacks the weights {name}")
        tensor = self.left.pop(name).double()
        if shape and (
            len(shape) != tensor.dim()
            or any(a not in (-1, b) for a, b in zip(shape, tensor.shape, strict=True))
        ):
            raise TrainingError(
                f"{self.source}: {name} has shape {[*tensor.shape]}, where {[*shape]} is expected"
            )
        return tensor

    def ignore(self, *constants: str) -> None:
        """Leave out what carries no weights: empty tensors, and constants of the package's layers,
        by parts of their names.
        """
        for name, tensor in list(self.left.items()):
            if tensor.numel() == 0 or any(constant in name for constant in constants):
                del self.left[name]

    def finish(self) -> None:
        """Make sure that everything was taken.

        Raises:
            TrainingError: naming what is left over.
        """
        if self.left:
            raise TrainingError(
                f"{self.source}: it has weights that no layer takes: {', '.join(self.left)}"
            )


def finished(
    config: ModelConfig,
    statistics: Statistics,
    tensors: dict[str, Tensor],
    shifts: Tensor,
    source: Imported,
) -> ImportedModel:
    """A NequIP or a MACE with its reference energies.

    Other packages let an atom without neighbours have an energy of the network's; ours is the
    reference energy, which takes it up.

    Args:
        config: hyperparameters.
        statistics: with elements and scales; its atomic energies are replaced.
        tensors: parameters by our names, without those that follow from the statistics.
        shifts: (S,) eV, what the package adds to an atom's energy.
        source: where it comes from.
    """
    model = build_model(config, statistics, torch.float64)
    assert isinstance(model, NequIP | MACE)
    missing = [name for name, _ in model.named_parameters() if name not in tensors]
    if missing:
        raise TrainingError(f"{source.source}: it gives no {', '.join(missing)}")
    model.load_state_dict(model.state_dict() | tensors)
    with torch.no_grad():
        energies = shifts.double() + model.energies_alone()
    atomic = dict(zip(statistics.elements, energies.tolist(), strict=True))
    return ImportedModel(
        config,
        statistics.model_copy(update={"atomic_energies": atomic}),
        dict(model.state_dict()),
        source,
    )
