"""What is told of the models of a service: to those who ask, and to who runs it."""

import math
from collections.abc import Mapping
from pathlib import Path

from app.engine.budget import Budget
from app.machine import free_memory, resident_memory
from app.protocol.admin import AdminAnswer, AdminModel, Alias, Memory, State
from app.protocol.schemas import BudgetOut, ModelAnswer, ModelsAnswer, ModelSummary
from app.service.models import Models
from app.service.served import Refused
from app.store.plots import plots_of, read_plot
from app.store.store import ModelStore, is_version
from app.store.summary import summary

SUMMARY = {"description", "architecture", "elements", "cutoff", "takes_charge"}
"""What of a card stands in the list of models."""


def listed(models: Models) -> ModelsAnswer:
    """All models, served or refused."""
    defaults = models.defaults()
    served = [
        ModelSummary(
            name=potential.card.name,
            version=potential.card.version,
            status="ready",
            default=reference in defaults,
            digest=potential.digest,
            runs_on=potential.runs_on,
            **potential.card.model_dump(include=SUMMARY),
        )
        for reference, potential in models.potentials.items()
    ]
    refused = [_summary(model) for model in models.refused.values()]
    aliases = {name: alias.shares for name, alias in models.deployment.aliases.items()}
    return ModelsAnswer(models=served + refused, defaults=defaults, aliases=aliases)


def card(models: Models, reference: str) -> ModelAnswer:
    """The whole card of one model.

    Raises:
        UnknownModel: no such model.
        CorruptModel: it is refused; says why.
    """
    potential = models.potential(reference)
    return ModelAnswer(
        status="ready",
        digest=potential.digest,
        runs_on=potential.runs_on,
        summary=summary(potential.card),
        plots=plots_of(potential.card),
        budget=_shown(potential.workers.budget),
        card=potential.card,
    )


def plot(models: Models, reference: str, name: str) -> bytes:
    """A picture of how good a model is, as PNG. Blocks.

    Raises:
        UnknownModel: no such model, or no such plot of it.
        CorruptModel: it is refused, or the file is not what its card says.
    """
    known = models.potential(reference).card
    return read_plot(models.store.root / known.name / str(known.version), known, name)


def administered(models: Models, files: Mapping[str, int | None]) -> AdminAnswer:
    """All versions, whatever their state.

    Args:
        models: of the service.
        files: what the store has, and the bytes of its files, by `name@version`.
    """
    known = [*models.potentials, *models.leaving, *sorted(models.loading), *models.refused, *files]
    return AdminAnswer(
        models=[_model(models, key, files.get(key)) for key in dict.fromkeys(known)],
        default=list(models.default),
        aliases={
            name: Alias(shares=alias.shares, by=alias.by)  # both are told, stated or not
            for name, alias in models.deployment.aliases.items()
        },
        memory=Memory(resident_bytes=resident_memory(), free_bytes=free_memory()),
        kept_in=models.kept_in,
    )


def file_sizes(store: ModelStore) -> dict[str, int | None]:
    """Bytes of the files of each version that the store has; None of those at a URL that were not
    copied. Blocks.
    """
    return {
        f"{name}@{version}": _size(store.root / name / str(version))
        for name in store.names()
        for version in store.versions(name)
    }


def _size(folder: Path) -> int | None:
    """Bytes of the files in a folder; None where they are not there."""
    try:
        return sum(path.lstat().st_size for path in folder.iterdir())
    except OSError:
        return None


def _model(models: Models, key: str, size: int | None) -> AdminModel:
    serving = models.potentials.get(key) or models.leaving.get(key)
    told: dict[str, object] = {}
    if serving is not None:
        told |= {"digest": serving.digest, "runs_on": serving.runs_on}
        told |= {"structures": serving.admission.admitted[0], "streams": serving.admission.holders}
    if key in models.potentials:
        told["default"] = any(key in models.meant(name) for name in models.default)
    if names := models.deployment.names_of(key):
        told["aliases"] = names
    if size is not None:
        told["file_bytes"] = size
    state = _state(models, key)
    if state == "failed":
        told["reason"] = models.refused[key].reason
    return AdminModel(model=key, state=state, **told)  # type: ignore[arg-type]


def _state(models: Models, key: str) -> State:
    if key in models.potentials:
        return "loaded"
    if key in models.leaving:
        return "unloading"
    if key in models.loading:
        return "loading"
    return "failed" if key in models.refused else "unloaded"


def _summary(refused: Refused) -> ModelSummary:
    name, _, version = refused.reference.partition("@")
    number = int(version) if is_version(version) else None
    return ModelSummary(name=name, version=number, status="refused", reason=refused.reason)


def _shown(budget: Budget) -> BudgetOut:
    return BudgetOut(
        atoms=budget.atoms,
        edges=budget.edges,
        structures=budget.structures,
        seconds=budget.seconds if math.isfinite(budget.seconds) else None,
        source=budget.source,
    )
