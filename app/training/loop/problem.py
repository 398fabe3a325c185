"""What a run is to learn: its data, and the statistics that its model takes from them."""

from dataclasses import dataclass

from app.errors import InvalidData
from app.training.data.batches import Collator
from app.training.data.binding import fit_binding
from app.training.data.load import (
    Finder,
    Frames,
    check_charges,
    check_stress,
    load_frames,
)
from app.training.data.ranges import joined, training_range
from app.training.data.references import fit_statistics
from app.training.models import Statistics
from app.training.runs.base import Base
from app.training.runs.config import LossConfig, TrainConfig
from app.training.runs.fine_tuning import grown_statistics


@dataclass(frozen=True)
class Problem:
    """What is to be learnt: frames with neighbour lists, and their statistics."""

    frames: Frames
    statistics: Statistics
    train: Collator
    validation: Collator


def load_problem(
    config: TrainConfig,
    find: Finder,
    base: Base | None = None,
    statistics: Statistics | None = None,
) -> Problem:
    """Read the data, find neighbours and fit the statistics.

    Args:
        config: of the run.
        find: from the config's paths to files.
        base: the model to start from.
        statistics: those with which the run began, where it goes on.

    Raises:
        InvalidData: naming file and frame; or a loss of forces or stresses without any.
        InvalidConfig: reference energies or elements that do not fit the data.
    """
    given = statistics or (base.statistics if base is not None else None)
    known = given.elements if given is not None else ()
    frames = load_frames(config.data, find, config.model.cutoff, config.dtype, known)
    check_charges(frames, config.model.takes_charge)
    check_labels(frames, config.loss)
    if statistics is None:
        statistics = fresh_statistics(config, frames, base)
    train, validation = (Collator(part, statistics) for part in (frames.train, frames.validation))
    return Problem(frames, statistics, train, validation)


def fresh_statistics(config: TrainConfig, frames: Frames, base: Base | None) -> Statistics:
    """Statistics of a run that begins.

    Args:
        config: of the run.
        frames: its data.
        base: the model to start from.
    """
    trained_on = training_range(frames.train)
    if base is not None:
        statistics = grown_statistics(base, config, frames)
        if base.statistics.trained_on is not None:
            trained_on = joined(trained_on, base.statistics.trained_on)
    else:
        elements = config.data.elements or frames.elements()
        statistics = fit_statistics(frames.train, elements, config.references)
    if config.model.binding:
        known = {} if base is None else base.statistics.binding_energies
        binding = fit_binding(frames.train, statistics, config.model.cutoff, known)
        statistics = statistics.model_copy(update={"binding_energies": binding})
    return statistics.model_copy(update={"trained_on": trained_on})


def check_labels(frames: Frames, loss: LossConfig) -> None:
    """Make sure that there is something to learn each part of a loss from.

    Raises:
        InvalidData: a loss of forces or stresses without any, or a bulk frame without a stress.
    """
    forces, stress = (loss.largest(name) for name in ("forces", "stress"))
    if stress:
        if not frames.train.has_stress.any():
            raise InvalidData(f"loss.stress is {stress}, but no training frame has a stress")
        for part in (frames.train, frames.validation):
            check_stress(part, stress)
    if forces and not frames.train.has_forces.any():
        raise InvalidData(f"loss.forces is {forces}, but no training frame has forces; set it to 0")
