"""The processes that train one model together: those that `torchrun` has started, or this one
alone.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist

# keeps the process group that exists at its import, so that one's threads would never end
import torch.distributed.nn
from torch import Tensor

from app.errors import EquipotError, TrainingError
from app.training.models.network import Network

Value = TypeVar("Value")
PATIENCE = timedelta(days=30)
"""How long processes wait for each other: through the evaluations of the first one, too."""


@dataclass(frozen=True)
class ProcessGroup:
    """One of the processes of a run; every method must be called by all of them, in the same
    order.

    Attributes:
        rank: number of this process.
        size: how many there are.
        local_rank: number of this process among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files, evaluates, and speaks."""
        return self.rank == 0

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of any shapes (...), one precision and one device by their sums over all
        processes, in one message.
        """
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _lost_peers():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, *flags: bool) -> list[bool]:
        """Which of some flags are true in any process."""
        if self.size == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.int32)
        with _lost_peers():
            dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def gather(self, value: Value) -> list[Value]:
        """What every process gives, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _lost_peers():
            dist.all_gather_object(values, value)
        return values

    def share(self, make: Callable[[], Value]) -> Value:
        """What the first process makes, given to all.

        Raises:
            EquipotError: what `make` raises.
        """
        if self.size == 1:
            return make()
        values: list[Any] = [None]
        with self.together():
            if self.is_first:
                values = [make()]
        with _lost_peers():
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        made: Value = values[0]
        return made

    def broadcast_weights(self, model: Network) -> None:
        """Give a model the first process's weights in all."""
        if self.size > 1:
            with _lost_peers():
                for tensor in model.state_dict().values():
                    dist.broadcast(tensor, 0)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What fails on purpose in one process inside the block fails in all at its end.

        Raises:
            EquipotError: of the first process that failed.
        """
        failure: EquipotError | None = None
        try:
            yield
        except EquipotError as error:
            failure = error
        if any(self.any(failure is not None)):
            self.fail(failure)

    def fail(self, failure: EquipotError | None) -> NoReturn:
        """End all processes; at least one of them gives a reason.

        Raises:
            EquipotError: of the first process that failed.
        """
        reasons = self.gather(None if failure is None else str(failure))
        rank, reason = next(
            (rank, reason) for rank, reason in enumerate(reasons) if reason is not None
        )
        if failure is not None and rank == self.rank:
            raise failure
        raise TrainingError(f"process {rank}: {reason}")


ALONE = ProcessGroup()
"""This process by itself."""


@contextmanager
def process_group() -> Iterator[ProcessGroup]:
    """The processes that `torchrun` has started, connected within the block; this one alone without
    it.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE
    )
    group = ProcessGroup(dist.get_rank(), dist.get_world_size(), int(os.environ["LOCAL_RANK"]))
    if not group.is_first:
        logging.disable(logging.WARNING)
    try:
        yield group
    finally:
        dist.destroy_process_group()


@contextmanager
def _lost_peers() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of the run has ended before its time; go on with --resume from the last checkpoint"
        ) from error
