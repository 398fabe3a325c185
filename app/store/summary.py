"""Summary: what a model is for, in sentences that a chemist reads, made from its card."""

from collections.abc import Iterator, Mapping
from typing import Any

from ase.data import atomic_names, chemical_symbols

from app.store.card import ModelCard
from app.store.training_range import TrainingRange

LISTED = 20
"""Elements that are named; of more, their symbols are given."""


def summary(card: ModelCard) -> tuple[str, ...]:
    """Sentences on elements, charges, sizes, errors and limits."""
    return (
        _elements(card),
        *_states(card),
        *_data(card),
        _reach(card),
        *_errors(card.metrics),
        *card.limitations,
    )


def _elements(card: ModelCard) -> str:
    if len(card.elements) > LISTED:
        return f"It knows {len(card.elements)} elements: {' '.join(card.elements)}."
    names = [atomic_names[chemical_symbols.index(symbol)].lower() for symbol in card.elements]
    return f"It knows {_and(names)}, and refuses structures with any other element."


def _states(card: ModelCard) -> Iterator[str]:
    """Charges and spins."""
    if card.takes_charge:
        yield "It takes the total charge into account, and knows closed shells only."
        ions = [
            f"{symbol} {charge:+d}" for symbol, known in card.lone_ions.items() for charge in known
        ]
        if ions:
            yield f"Single ions in open space that it knows: {_and(ions)}."
    elif not card.closed_shell:
        yield (
            "It sees neither charges nor spins, and refuses them where they are stated; odd numbers "
            "of electrons are answered."
        )
    else:
        yield "It knows neutral structures without unpaired electrons; charges and open shells are refused."
    if card.closed_shell and card.backend != "pair":
        yield "Molecules with an odd number of electrons are refused, unless the request allows them."


def _data(card: ModelCard) -> Iterator[str]:
    """What it was trained on."""
    if card.backend == "pair":
        yield "It is a formula and was not trained on anything."
    elif card.trained_on is not None:
        yield _sizes(card.trained_on)
        yield from _charges(card.trained_on)
        yield "Distances, numbers of neighbours and forces beyond its training data are warned of."
    elif card.uncertainty is None:
        yield "Its card does not say what it was trained on: it cannot warn of what it never saw."
    if card.uncertainty is not None:
        large = "" if card.uncertainty.usual_forces is None else "where it is large, and "
        yield (
            f"It estimates the error of each answer, and warns {large}of atoms that are new to it; of "
            f"structures like those that it knows, {100 * card.uncertainty.false_alarms:.2g} % are "
            "warned of without need."
        )


def _sizes(trained_on: TrainingRange) -> str:
    kinds = {True: "structures, periodic ones among them,", False: "molecules", None: "structures"}
    kind = "periodic structures" if trained_on.molecular is False else kinds[trained_on.periodic]
    most = "1 atom" if trained_on.most_atoms == 1 else f"{trained_on.most_atoms} atoms"
    return f"It was trained on {kind} of up to {most}."


def _charges(trained_on: TrainingRange) -> Iterator[str]:
    if trained_on.charges is not None:
        known = _and([f"{charge:+d}" if charge else "0" for charge in trained_on.charges])
        yield f"Total charges in its training data: {known}."


def _reach(card: ModelCard) -> str:
    if card.receptive_field == card.cutoff:
        return f"An atom feels others up to {card.cutoff:g} Å away, and nothing beyond."
    return (
        f"An atom feels others up to {card.cutoff:g} Å away directly, and up to "
        f"{card.receptive_field:g} Å through those between them; nothing beyond."
    )


def _errors(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Errors on data that were not trained on, if the card has them, or on some that were."""
    for name, what in (
        ("test", "never seen in training"),
        ("validation", "of the validation"),
        ("sample", "from the data set that it was trained on"),
    ):
        errors = metrics.get(name)
        if isinstance(errors, Mapping) and (told := list(_told(errors))):
            frames = errors["frames"] if isinstance(errors.get("frames"), int) else "the"
            yield f"On {frames} structures {what}, it is off on average by {_and(told)}."
            return


def _told(errors: Mapping[str, Any]) -> Iterator[str]:
    for key, unit in (
        ("energy_per_atom_mae", "meV an atom in the energy"),
        ("forces_mae", "meV/Å in the components of forces"),
        ("stress_mae", "meV/Å³ in the components of the stress"),
    ):
        if isinstance(errors.get(key), int | float):
            yield f"{errors[key]:.3g} {unit}"


def _and(words: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
