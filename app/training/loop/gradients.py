"""The gradient of a batch's loss: divided among processes and into pieces, and the same however it
is divided.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.atoms.structure import Integers
from app.errors import TrainingError
from app.training.data.batches import UNLIMITED, Batch, BatchSize, Collator, batches
from app.training.evaluation.forward import Outputs, predict
from app.training.loop.distributed import ProcessGroup
from app.training.loop.kernel import KernelNetwork, kernel_of
from app.training.loop.loss import Counts, Losses, compute_losses, count_labels
from app.training.loop.precision import Precision
from app.training.models import Statistics
from app.training.models.network import Network
from app.training.runs.config import LossConfig, TrainConfig

FARTHEST_APART = 0.1
"""Share of a gradient's length by which the kernel's may be off. It is that of forces averaged over
moves of some thousandths of an Å, along which those of a network that was trained for long bend."""


class Gradients:
    """Sets the gradients of a model's parameters to those of the loss of a batch.

    The frames of a batch are divided among the processes, and each share into pieces of at most
    `edges_at_once` edges. The losses of the pieces are normalised by the labels of the whole batch,
    so that their gradients add up to that of its loss. Where memory runs out, the pieces become
    smaller, once.

    Args:
        model: one of `app.training.models`, on its device.
        collator: of the training frames.
        config: of the run.
        group: the processes of the run.
        statistics: with which the model was built.

    Raises:
        InvalidConfig: the step is to be the kernel's, which is not there.

    Attributes:
        edges_at_once: largest piece; a larger structure goes alone.
        lowered: whether memory ran out before.
    """

    def __init__(
        self,
        model: Network,
        collator: Collator,
        config: TrainConfig,
        group: ProcessGroup,
        statistics: Statistics,
    ) -> None:
        self.model, self.collator, self.group, self.seed = model, collator, group, config.seed
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.stress = config.loss.largest("stress") > 0
        self.device = self.parameters[0].device
        self.precision = Precision(config.precision, self.device)
        self.kernel = kernel_of(model, config, statistics, self.device)
        self.edges_at_once = config.edges_at_once
        self.lowered = False

    def __call__(
        self, indices: Integers, loss: LossConfig, step: int, say: Callable[[str], None]
    ) -> list[float]:
        """Set the gradients.

        Args:
            indices: (B,) frames of the batch.
            loss: with the weights of this step.
            step: of the run; random numbers of dropout depend on it, the seed and the process
                alone.
            say: told where memory ran out.

        Returns:
            The losses of the batch, as floats.

        Raises:
            TrainingError: the loss is not finite, or memory runs out a second time.
        """
        failure, before = None, self.edges_at_once
        try:
            if self.kernel is not None and not self.kernel.compared:
                self._compare(self.kernel, indices, loss, say)
            sums = self._share(indices, loss, step)
        except TrainingError as error:
            failure, sums = error, self._zeros()
        report = torch.cat(
            [sums, sums.new_tensor([failure is not None, self.edges_at_once != before])]
        )
        # A process without a frame of this batch has no gradients, and all must send the same.
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        self.group.all_reduce([*gradients, report])
        *values, failed, lowered = report.tolist()
        if failed:
            self.group.fail(failure)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        if lowered:
            self._lower_everywhere(say)
        if not math.isfinite(values[0]):
            raise TrainingError(self._blown_up(values[0], indices, loss, step))
        return values

    def state(self) -> dict[str, Any]:
        """What `load` takes."""
        return {"edges_at_once": self.edges_at_once, "lowered": self.lowered}

    def load(self, state: dict[str, Any]) -> None:
        """Go on with pieces of the size that memory had room for; smaller ones if the config says
        so now.
        """
        if state.get("lowered"):
            self.lowered, before = True, state["edges_at_once"]
            self.edges_at_once = min(before, self.edges_at_once or before)

    def _share(self, indices: Integers, loss: LossConfig, step: int) -> Tensor:
        """Gradients and losses (4,) of this process's share of a batch."""
        counts = count_labels(self.collator, indices)
        while True:
            torch.manual_seed(
                int(np.random.SeedSequence([self.seed, step, self.group.rank]).generate_state(1)[0])
            )
            for parameter in self.parameters:
                parameter.grad = None
            sums = self._zeros()
            for piece in self._pieces(indices):
                try:
                    sums += self._piece(piece, loss, counts)
                except torch.OutOfMemoryError:
                    too_large = piece
                    break
            else:
                return sums
            self._lower(too_large)

    def _pieces(self, indices: Integers) -> list[Integers]:
        """This process's share of a batch, piece by piece."""
        dataset = self.collator.dataset
        if self.group.size > 1:
            costs = dataset.n_edges[indices] + dataset.n_atoms[indices]
            indices = indices[divide(costs, self.group.size)[self.group.rank]]
        if self.edges_at_once is None:
            return [indices] if len(indices) else []
        return list(batches(dataset, indices, BatchSize(UNLIMITED, edges=self.edges_at_once)))

    def _piece(self, indices: Integers, loss: LossConfig, counts: Counts) -> Tensor:
        """Losses (4,) of some frames; their gradients are added to those of the parameters."""
        batch = self.collator(indices).to(self.device)

        def losses(outputs: Outputs) -> Losses:
            return compute_losses(outputs, batch.targets, loss, counts)

        if self.kernel is not None:
            return self.kernel.add_gradients(batch, losses, self.stress)
        return self._add_eagerly(batch, losses)

    def _add_eagerly(self, batch: Batch, losses: Callable[[Outputs], Losses]) -> Tensor:
        """By automatic differentiation."""
        with self.precision.of_step():
            with self.precision.of_forward():
                outputs = predict(self.model, batch, create_graph=True, stress=self.stress)
            parts = losses(outputs)
            parts.total.backward()  # type: ignore[no-untyped-call]
        return torch.stack([part.detach() for part in parts])

    def _compare(
        self,
        kernel: KernelNetwork,
        indices: Integers,
        loss: LossConfig,
        say: Callable[[str], None],
    ) -> None:
        """Hold the kernel's gradient of a batch's first piece to that of automatic differentiation.

        Raises:
            TrainingError: they are apart.
        """
        pieces = self._pieces(indices)
        if not pieces:
            return
        batch = self.collator(pieces[0])
        found = []
        for add in (self._add_eagerly, partial(kernel.add_gradients, stress=self.stress)):
            for parameter in self.parameters:
                parameter.grad = None
            add(batch, lambda outputs: compute_losses(outputs, batch.targets, loss))
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
            found.append(torch.cat([gradient.flatten() for gradient in gradients]))
        expected, length = found[0], float(torch.linalg.vector_norm(found[0]))
        if not 0 < length < math.inf:
            return  # the next batch will do; a loss that is not finite is told of by its frames
        apart = float(torch.linalg.vector_norm(found[1] - expected)) / length
        text = (
            f"the kernel's gradient of the first batch is off by {100 * apart:.2g} % of its length"
        )
        if not apart <= FARTHEST_APART:
            raise TrainingError(
                f"{text}, and {100 * FARTHEST_APART:.0f} % are allowed; set step to 'eager'"
            )
        say(text)
        kernel.compared = True

    def _zeros(self) -> Tensor:
        return self.parameters[0].new_zeros(len(Losses._fields))

    def _lower(self, piece: Integers) -> None:
        """Make room after memory ran out.

        Raises:
            TrainingError: it had run out before, or the piece is a single frame.
        """
        dataset = self.collator.dataset
        atoms, edges = dataset.n_atoms[piece].sum(), dataset.n_edges[piece].sum()
        if len(piece) == 1:
            frame = dataset[piece[0]].origin
            raise TrainingError(
                f"out of memory on a single frame, {frame}, of {atoms} atoms and {edges} edges; lower model.cutoff "
                "or the model's widths, or leave it out"
            )
        if self.lowered:
            raise TrainingError(
                f"out of memory again, on {len(piece)} frames of {atoms} atoms and {edges} edges together, though "
                f"edges_at_once was lowered to {self.edges_at_once} already; set edges_at_once lower and go on with "
                "--resume, or begin with smaller batch_size, max_atoms or max_edges, or a smaller model"
            )
        self.lowered = True
        self.edges_at_once = max(int(edges) // 2, 1)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _lower_everywhere(self, say: Callable[[str], None]) -> None:
        limits = [limit for limit in self.group.gather(self.edges_at_once) if limit is not None]
        self.edges_at_once, self.lowered = min(limits), True
        say(
            f"out of memory; from now on batches are computed in pieces of at most {self.edges_at_once} edges "
            "(edges_at_once), whose gradients are added up: what is learnt is the same"
        )

    def _blown_up(self, value: float, indices: Integers, loss: LossConfig, step: int) -> str:
        frames = self.collator.dataset
        bad = [i for i in sorted(indices) if not math.isfinite(self._alone(i, loss))]
        named = bad or list(indices)
        listed = "; ".join(frames[i].origin for i in named[:8])
        return (
            f"step {step + 1}: the loss is {value}; nothing was learnt from this batch, and the last "
            f"checkpoint is as it was. Not finite by themselves are {len(bad)} of its {len(indices)} frames: "
            f"{listed}{' and others' if len(named) > 8 else ''}. Look at the labels of a single one; where it is all "
            "of them, a lower optimizer.lr, or clip, may help"
        )

    def _alone(self, index: int, loss: LossConfig) -> float:
        """The loss of one frame."""
        batch = self.collator(np.array([index])).to(self.device)
        outputs = predict(self.model, batch, create_graph=False)
        return float(compute_losses(outputs, batch.targets, loss).total)


def divide(costs: Integers, parts: int) -> list[Integers]:
    """Positions of (n,) costs, dealt out so that the parts' sums are much alike; a part may be
    empty.

    The largest is dealt first, and each goes to the part with the smallest sum so far; within a
    part, positions keep their order.
    """
    sums, owner = np.zeros(parts), np.empty(len(costs), dtype=np.int64)
    for position in np.argsort(-costs, kind="stable"):
        owner[position] = part = sums.argmin()
        sums[part] += costs[position]
    return [np.flatnonzero(owner == part) for part in range(parts)]
