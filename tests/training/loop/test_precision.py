"""Training steps in less precision: close to the full one, and differentiable twice."""

import pytest
import torch

from app.errors import InvalidConfig
from app.training.data.batches import Collator
from app.training.data.dataset import build_dataset
from app.training.data.references import fit_statistics
from app.training.loop import hardware
from app.training.loop.distributed import ProcessGroup
from app.training.loop.gradients import Gradients
from app.training.loop.precision import Precision
from app.training.models import build_model
from tests.training.labelled import molecules, tiny_config

FRAMES = molecules(8, sizes=(5, 9))


def gradient(precision):
    config = tiny_config(precision=precision)
    dataset = build_dataset(FRAMES, 4.5)
    statistics = fit_statistics(dataset, ("Ne", "Ar"), "least_squares")
    model = build_model(config.model, statistics, torch.float32)
    set_gradients = Gradients(
        model, Collator(dataset, statistics), config, ProcessGroup(), statistics
    )
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
