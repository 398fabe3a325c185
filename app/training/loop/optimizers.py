"""Optimisers by name."""

from typing import Any

import torch
from torch import nn

from app.training.models.network import Network
from app.training.runs.config import TrainConfig


class MuonAdamW:
    """Muon for the matrices of a model, AdamW for its other parameters: stacks of matrices, tables,
    scales and biases.

    Muon (Jordan et al. 2024) makes the update of a matrix orthogonal. Its length is that of AdamW's
    updates (Liu et al., arXiv:2502.16982), so that one learning rate serves both.

    Args:
        model: whose parameters are trained.
        config: of the run.
    """

    def __init__(self, model: Network, config: TrainConfig) -> None:
        lr, decay, betas = (
            config.optimizer.lr,
            config.optimizer.weight_decay,
            config.optimizer.betas,
        )
        tables = model.elementwise
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = {
            name: p for name, p in parameters.items() if is_matrix(p) and not name.endswith(tables)
        }
        others = decay_groups([p for name, p in parameters.items() if name not in matrices], decay)
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                list(matrices.values()), lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(others, lr=lr, betas=betas, fused=True),
        )

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, whose learning rates may be set."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """Change the parameters by their gradients."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


AnyOptimizer = torch.optim.Optimizer | MuonAdamW


def make_optimizer(model: Network, config: TrainConfig) -> AnyOptimizer:
    """The config's optimiser; weight decay acts on matrices, not on scales and biases."""
    options = config.optimizer
    if options.name == "muon":
        return MuonAdamW(model, config)
    groups = decay_groups([p for p in model.parameters() if p.requires_grad], options.weight_decay)
    make: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[
        options.name
    ]
    return make(groups, lr=options.lr, betas=options.betas, fused=True)


def decay_groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Parameters with weight decay, and those without."""
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether a parameter has the shape of one that maps vectors to vectors."""
    return parameter.ndim == 2 and min(parameter.shape) > 1
