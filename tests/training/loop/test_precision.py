"""Training steps in less precision: close to the full one, differentiable twice, and exported as
any other run.
"""

import io
from pathlib import Path

import pytest
import torch

from app.errors import InvalidConfig
from app.store.store import ModelStore
from app.training.data.batches import Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.data.references import fit_statistics
from app.training.export.publish import About, TrainedRun, export
from app.training.loop import hardware
from app.training.loop.display import Display
from app.training.loop.distributed import ProcessGroup
from app.training.loop.gradients import Gradients
from app.training.loop.precision import Precision
from app.training.models import build_model
from app.training.run import train_model
from app.training.runs.folder import RunFolder
from tests.training.labelled import molecules, tiny_config, write

FRAMES = molecules(8, sizes=(5, 9))


def gradient(precision):
    config = tiny_config(precision=precision)
    dataset = build_dataset(FRAMES, 4.5)
    statistics = fit_statistics(dataset, ("Ne", "Ar"), "least_squares")
    model = build_model(config.model, statistics, torch.float32)
    set_gradients = Gradients(model, Collator(dataset, statistics), config, ProcessGroup())
    loss = set_gradients(torch.arange(8).numpy(), config.loss, 0, pytest.fail)[0]
    return loss, torch.cat([p.grad.flatten() for p in set_gradients.parameters])


def test_bfloat16_changes_products_and_hardly_the_gradient():
    (loss, full), (less_loss, less) = gradient("full"), gradient("bfloat16")
    assert less.dtype == torch.float32
    assert 0 < (less - full).norm() < 0.1 * full.norm()
    assert 0 < abs(less_loss - loss) < 0.05 * loss


def test_tf32_holds_within_a_step_only():
    before = torch.backends.cuda.matmul.fp32_precision
    with Precision("tf32", torch.device("cpu")).of_step():
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert torch.backends.cuda.matmul.fp32_precision == before


def test_tf32_without_cuda_is_said():
    with pytest.raises(InvalidConfig, match="precision = 'tf32': only CUDA devices have it"):
        hardware.set_up(tiny_config(precision="tf32"))


def test_less_precision_than_double_is_refused():
    with pytest.raises(InvalidConfig, match="precision = 'bfloat16': it is for dtype float32"):
        tiny_config(precision="bfloat16", dtype="float64")


@pytest.mark.slow
def test_a_model_that_was_trained_in_bfloat16_is_certified(tmp_path: Path):
    write(tmp_path / "train.xyz", molecules(24))
    config = tiny_config(precision="bfloat16", epochs=1)
    train_model(config, RunFolder(tmp_path / "run"), Finder(tmp_path), Display(1, io.StringIO()))
    stored = export(TrainedRun(tmp_path / "run"), ModelStore(tmp_path / "store"), "less", About())
    assert stored.card.certificate is not None
