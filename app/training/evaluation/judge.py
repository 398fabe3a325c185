"""Fit the estimates of a trained network's errors, and see how well they agree with the errors.

Features of training frames say what the network has seen, errors on validation frames how far it is
off. One half of the validation frames is fitted, the other one sets the scale and judges.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from app.atoms.structure import Floats
from app.store.certificate import Calibration
from app.store.certificate import Uncertainty as Judgement
from app.training.data.batches import Batch, BatchSize, Collator, batches
from app.training.evaluation.forward import predict
from app.training.evaluation.uncertainty import reliability
from app.training.models.network import Network
from app.training.models.uncertainty import SMALLEST, ErrorEstimates, Uncertainty

MOST_FRAMES = 6000
"""Of either set that are looked at."""
LEAST_FRAMES = 40
"""Of the validation set, below which nothing can be fitted."""
EPOCHS, BATCH, RATE = 60, 32, 3e-3
FLOOR = 1e-3
"""Smallest eigenvalue of a covariance, as a share of the mean one: directions in which the data do
not differ tell nothing."""
SEEN = 0.999
"""Share of the training atoms of an element with a novelty below 1, where that leaves few alarms."""
ALARMS = 0.01
"""Largest share of held-out structures that may have an atom of novelty above 1, and share of those
whose forces have estimated errors that are larger than usual."""


class Seen(NamedTuple):
    """Atoms of some frames as a network sees them, and its errors there.

    Attributes:
        features: (N, H), eV.
        species: (N,).
        structure: (N,) the number of each atom's frame.
        energy: (F,), eV, errors of the frames' energies; NaN where not labelled.
        forces: (N,), eV/Å, lengths of the errors of the forces; NaN where not labelled.
    """

    features: Tensor
    species: Tensor
    structure: Tensor
    energy: Tensor
    forces: Tensor

    def frames(self, numbers: Tensor) -> "Seen":
        """Those of these (f,) frames."""
        place = torch.full((len(self.energy),), -1)
        place[numbers] = torch.arange(len(numbers))
        atoms = place[self.structure] >= 0
        return Seen(
            self.features[atoms],
            self.species[atoms],
            place[self.structure[atoms]],
            self.energy[numbers],
            self.forces[atoms],
        )


class Judged(NamedTuple):
    """What `judge` finds.

    Attributes:
        uncertainty: the head.
        judgement: how it does on frames to which it was not fitted.
        forces: (n,) errors and (n,) estimates of these frames' forces, eV/Å, for a plot.
    """

    uncertainty: Uncertainty
    judgement: Judgement
    forces: tuple[Floats, Floats]


def judge(
    model: Network, train: Collator, validation: Collator, size: BatchSize, device: torch.device
) -> Judged | None:
    """The estimates of a network's errors; None where the frames are too few, or have no forces.

    Args:
        model: trained, in float32 or float64.
        train: its training frames.
        validation: frames that it was not trained on.
        size: of a batch.
        device: of the model.
    """
    if len(validation.dataset) < LEAST_FRAMES or not validation.dataset.has_forces.any():
        return None
    known, other = (
        look(model, collator, size, device, with_errors)
        for collator, with_errors in ((train, False), (validation, True))
    )
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(other.energy)))
    fitted, held = (other.frames(part) for part in order.tensor_split(2))
    uncertainty = Uncertainty(train.elements, known.features.shape[1]).double()
    place(uncertainty, known)
    fit(uncertainty, fitted)
    uncertainty.requires_grad_(False).eval()
    limit_alarms(uncertainty, known, other)
    return _rescaled(uncertainty, held, other)


@torch.no_grad()
def look(
    model: Network, collator: Collator, size: BatchSize, device: torch.device, with_errors: bool
) -> Seen:
    """Some frames as the network sees them; without errors, these are not a number."""
    data = collator.dataset
    some = np.random.default_rng(1).permutation(len(data))[:MOST_FRAMES]
    order = some[np.argsort(data.n_atoms[some], kind="stable")]
    parts, frames = [], 0
    for indices in batches(data, order, size):
        part = _seen(model, collator(indices).to(device), with_errors)
        parts.append(part._replace(structure=part.structure + frames))
        frames += len(indices)
    return Seen(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _seen(model: Network, batch: Batch, with_errors: bool) -> Seen:
    taken = batch.inputs.local() if model.strictly_local else batch.inputs
    features = model.features(taken).double().cpu()
    energy = torch.full((len(batch.volume),), torch.nan, dtype=torch.float64)
    forces = torch.full((len(features),), torch.nan, dtype=torch.float64)
    if with_errors:
        outputs, targets = predict(model, batch, create_graph=False), batch.targets
        energy = (outputs.energy - targets.energy).double().cpu()
        off = torch.linalg.vector_norm(outputs.forces - targets.forces, dim=1).double().cpu()
        forces = torch.where(targets.has_forces.cpu(), off, forces)
    return Seen(features, batch.inputs.species.cpu(), batch.structure.cpu(), energy, forces)


def place(uncertainty: Uncertainty, known: Seen) -> None:
    """Mean and whitening matrix of each element's features; those of all atoms where an element has
    few.
    """
    everything = known.features
    width = everything.shape[1]
    for element in range(len(uncertainty.reach)):
        own = everything[known.species == element]
        own = own if len(own) > 4 * width else everything
        values, vectors = torch.linalg.eigh(torch.cov(own.T) + SMALLEST * torch.eye(width))
        values = values.clamp(min=FLOOR * float(values.mean()))
        uncertainty.mean[element] = own.mean(0)
        uncertainty.whiten[element] = (vectors / values.sqrt()).T


def fit(uncertainty: Uncertainty, seen: Seen) -> None:
    """Make the errors of some frames likely: normal with the estimates as standard deviations."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(uncertainty.parameters(), lr=RATE)
    frames = len(seen.energy)
    steps = EPOCHS * -(-frames // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with torch.enable_grad():
        for _ in range(EPOCHS):
            order = torch.randperm(frames, generator=generator)
            for start in range(0, frames, BATCH):
                part = seen.frames(order[start : start + BATCH])
                optimizer.zero_grad()
                loss = unlikelihood(uncertainty(part.features, part.species), part)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()


def unlikelihood(estimates: ErrorEstimates, seen: Seen) -> Tensor:
    """Mean negative logarithm of the likelihood, up to constants, of forces and of energies.

    An atom's force has three components, each with a third of its variance.
    """
    known = torch.isfinite(seen.forces)
    sigma = estimates.force_errors[known]
    forces = 3 * (sigma.log() + 0.5 * (seen.forces[known] / sigma) ** 2)
    labelled = torch.isfinite(seen.energy)
    variance = _variances(estimates, seen)[labelled]
    energies = 0.5 * (variance.log() + seen.energy[labelled] ** 2 / variance)
    return forces.mean() + energies.mean()


def limit_alarms(uncertainty: Uncertainty, known: Seen, other: Seen) -> None:
    """Choose what novelty 1 is: `SEEN` of an element's atoms in the training data lie below it, or
    more, so that not more than `ALARMS` of the held-out structures lie above.
    """
    of_known = uncertainty(known.features, known.species).novelty
    for element in range(len(uncertainty.reach)):
        own = of_known[known.species == element]
        uncertainty.reach[element] = float((own if len(own) else of_known).quantile(SEEN))
    novelty = uncertainty(other.features, other.species).novelty
    worst = torch.zeros(len(other.energy), dtype=novelty.dtype)
    worst = worst.scatter_reduce(0, other.structure, novelty, "amax")
    uncertainty.reach *= max(1.0, float(worst.quantile(1 - ALARMS)))


def _rescaled(uncertainty: Uncertainty, held: Seen, other: Seen) -> Judged:
    """Scale the estimates so that they are as large as the errors, in the root mean square."""
    estimates = uncertainty(held.features, held.species)
    known, labelled = torch.isfinite(held.forces), torch.isfinite(held.energy)
    variances = _variances(estimates, held)[labelled]
    atoms = torch.bincount(held.structure, minlength=len(held.energy))[labelled]
    energy = (held.energy[labelled].abs() / atoms, variances.sqrt() / atoms)
    forces = (held.forces[known], estimates.force_errors[known])
    factors = [
        float((error**2).mean().sqrt() / (std**2).mean().sqrt()) for error, std in (energy, forces)
    ]
    uncertainty.bias.add_(torch.tensor(factors).log())
    scaled = [
        (error.numpy(), (std * factor).numpy())
        for (error, std), factor in zip((energy, forces), factors, strict=True)
    ]
    told = uncertainty(other.features, other.species)
    usual = _force_errors(told, other)
    limit = float(usual.quantile(1 - ALARMS))
    new = torch.zeros(len(usual), dtype=torch.bool)
    new[other.structure[told.novelty > 1]] = True
    alarmed = float((new | (usual > limit)).double().mean())
    of_energy, of_forces = (
        Calibration.model_validate(reliability(*pair).model_dump()) for pair in scaled
    )
    judgement = Judgement(
        energy=of_energy, forces=of_forces, false_alarms=alarmed, usual_forces=limit
    )
    return Judged(uncertainty, judgement, scaled[1])


def _force_errors(estimates: ErrorEstimates, seen: Seen) -> Tensor:
    """(F,), eV/Å: those of the frames' forces, root mean square over the atoms."""
    squares = estimates.force_errors**2
    sums = squares.new_zeros(len(seen.energy)).index_add(0, seen.structure, squares)
    return (sums / torch.bincount(seen.structure, minlength=len(sums))).sqrt()


def _variances(estimates: ErrorEstimates, seen: Seen) -> Tensor:
    """(F,), eV²: those of the frames' energies."""
    squares = estimates.energy_errors**2
    return squares.new_zeros(len(seen.energy)).index_add(0, seen.structure, squares)
