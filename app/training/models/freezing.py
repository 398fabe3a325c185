"""Parameters that stay as they are while the others are trained."""

from collections.abc import Sequence
from fnmatch import filter as matching

from app.errors import InvalidConfig
from app.training.models.network import Network


def freeze(model: Network, patterns: Sequence[str]) -> None:
    """Take parameters out of training.

    Args:
        model: changed in place.
        patterns: of their names, as for files: `embedding.*`.

    Raises:
        InvalidConfig: a pattern that matches nothing, or nothing left to train.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        matched = matching(names, pattern)
        if not matched:
            raise InvalidConfig(
                f"start.freeze: '{pattern}' matches no parameter; there are: {', '.join(names)}"
            )
        for name in matched:
            model.get_parameter(name).requires_grad_(False)
    if not any(p.requires_grad for p in model.parameters()):
        raise InvalidConfig("start.freeze: every parameter is frozen; nothing would be learnt")
