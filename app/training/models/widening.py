"""A network made wider without a change of what it answers.

After Chen, Goodfellow and Shlens, Net2Net (ICLR 2016), with zeros where they copy: the old weights are
a block of the new matrices, what the new channels feed into the old ones is zero, and all else is
random. Their gradients are not zero, so that the new channels learn from the first step on.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from app.training.models.architecture import ArchitectureConfig
from app.training.models.network import Network


def can_widen(old: ArchitectureConfig, new: ArchitectureConfig, key: str) -> bool:
    """Whether a key of `model` is a width, in which the new network is at least as wide."""
    before, now = getattr(old, key, None), getattr(new, key, None)
    if key not in old.widths or before is None or now is None:
        return False
    if isinstance(before, int):
        return bool(now >= before)
    return len(before) == len(now) and all(b <= n for b, n in zip(before, now, strict=True))


@torch.no_grad()
def widened(model: Network, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the wider network, with which it answers as the narrower one.

    Args:
        model: the wider one, freshly initialised. Its channels are the last axes of its matrices
            (out, in), and the major part of an axis that holds more than channels.
        weights: of the narrower one, by name.
    """
    state = model.state_dict()
    for name, value in state.items():
        old = weights[name].to(value.dtype)
        if old.ndim > 1 and not name.endswith(model.elementwise):
            rows, columns = old.shape[-2:]
            value[..., :rows, columns:] = 0
        value[tuple(slice(size) for size in old.shape)] = old
    return state
