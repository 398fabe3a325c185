"""Ways to estimate a model's errors without a second model, side by side on held-out frames.

    python -m recipes.measures.uncertainties runs/config --data-root FOLDER

`head` is what the run has fitted and exports. `distance` is the Mahalanobis distance of an atom's
features from its element's alone. `last layer` is the posterior of the linear layer that reads the
features (Laplace approximation; Bigi et al., Mach. Learn.: Sci. Technol. 5, 045018, 2024): its
variance is fᵀ(Σ f fᵀ + λ)⁻¹f, of a structure's summed features f for energies, of an atom's for its
force. All of them cost one pass of the network. The latter two are scaled, by one number for energies
and one for forces, on the validation frames; all are judged on the test frames.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from app.training.data.batches import BatchSize, Collator
from app.training.data.load import Finder, load_frames
from app.training.evaluation.judge import Seen, look
from app.training.evaluation.uncertainty import reliability
from app.training.models.uncertainty import WithUncertainty
from app.training.runs.trained import TrainedRun
from recipes.measures.results import table

RIDGE = 1e-6
"""λ, as a share of the mean eigenvalue."""


class Estimates(NamedTuple):
    """Standard deviations: (F,) of energies, eV; (N,) of the lengths of forces, eV/Å."""

    energy: Tensor
    forces: Tensor


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(options.threads)
    run = TrainedRun(options.run)
    find = Finder(run.path, options.data_root)
    frames = load_frames(run.config.data, find, run.model.cutoff, run.config.dtype, ())
    network = run.models(torch.float32)[0]
    size, device = BatchSize(run.config.batch_size), torch.device("cpu")
    train, validation, test = (
        look(network, Collator(part, run.statistics), size, device, with_errors)
        for part, with_errors in (
            (frames.train, False),
            (frames.validation, True),
            (frames.test, True),
        )
    )
    rows = []
    for name, estimate in methods(run, train).items():
        scaled = rescaled(estimate(validation), validation, estimate(test))
        rows += [(f"{name}, energies", *quality(scaled.energy, test.energy, 1))]
        rows += [(f"{name}, forces", *quality(scaled.forces, test.forces, 3))]
    head = ("", "rank correlation", "error/σ", "within σ", "−log likelihood")
    print(table(head, rows))


def methods(run: TrainedRun, train: Seen) -> dict[str, Callable[[Seen], Estimates]]:
    """What is compared, by name."""
    (answering,) = run.answering(torch.float64)
    if not isinstance(answering, WithUncertainty):
        raise SystemExit(
            f"{run.path} has no estimates of errors: its validation frames are too few"
        )
    uncertainty = answering.uncertainty
    of_atoms = posterior(train.features)
    of_structures = posterior(_sums(train, train.features))

    def head(seen: Seen) -> Estimates:
        energy, forces, _ = uncertainty(seen.features, seen.species)
        return Estimates(_sums(seen, energy**2).sqrt(), forces)

    def distance(seen: Seen) -> Estimates:
        novelty = uncertainty(seen.features, seen.species).novelty
        away = novelty * uncertainty.reach.index_select(0, seen.species)
        return Estimates(_sums(seen, away**2).sqrt(), away)

    def last_layer(seen: Seen) -> Estimates:
        return Estimates(
            of_structures(_sums(seen, seen.features)).sqrt(), of_atoms(seen.features).sqrt()
        )

    return {"head": head, "distance": distance, "last layer": last_layer}


def posterior(features: Tensor) -> Callable[[Tensor], Tensor]:
    """From (n, H) features to (n,) variances, up to a factor."""
    square = features.T @ features
    ridge = RIDGE * float(square.diagonal().mean())
    inverse = torch.linalg.inv(square + ridge * torch.eye(len(square), dtype=square.dtype))
    return lambda f: ((f @ inverse) * f).sum(1)


def rescaled(estimates: Estimates, seen: Seen, others: Estimates) -> Estimates:
    """Estimates of other frames, times what makes those of these frames as large as the errors."""
    pairs = ((seen.energy, estimates.energy), (seen.forces, estimates.forces))
    factors = [float((error**2).mean().sqrt() / (std**2).mean().sqrt()) for error, std in pairs]
    return Estimates(others.energy * factors[0], others.forces * factors[1])


def quality(std: Tensor, errors: Tensor, components: int) -> tuple[float | None, ...]:
    """Rank correlation, error over σ, share within σ, and −log likelihood a component of normal
    errors, up to constants.
    """
    found = reliability(errors.numpy(), std.numpy())
    unlikely = (std / components**0.5).log() + 0.5 * (errors / std) ** 2
    return found.spearman, found.error_over_std, found.within_std, float(unlikely.mean())


def _sums(seen: Seen, values: Tensor) -> Tensor:
    """(F, ...) sums over each frame's atoms."""
    sums = values.new_zeros(len(seen.energy), *values.shape[1:])
    return sums.index_add(0, seen.structure, values)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", type=Path, help="folder of a training run with validation and test frames")
    add("--data-root", type=Path, help="where relative paths of its data begin")
    add("--threads", type=int, default=1, help="numerics threads (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
