"""A model in this process, where the service's package is installed."""

from collections.abc import Mapping, Sequence
from typing import Any

from equipot import errors
from equipot.errors import TYPES, EquipotError, ServiceError
from equipot.results import AnswerWarning, Model, Result


class Local:
    """A model of a store, or a backend, asked as a service is.

    Args:
        options: as those of `app.integrations.local.LocalModel`.

    Attributes:
        model: what computes.

    Raises:
        EquipotError: the service's package is not installed, there is no such model, or it cannot be
            opened.
    """

    def __init__(self, **options: Any) -> None:
        try:
            from app.integrations.local import LocalModel
        except ModuleNotFoundError as error:
            raise EquipotError(
                f"a model in this process needs the service's package ({error.name} is not "
                "installed): pip install 'equipot[cpu]', or give the url of a service"
            ) from None
        try:
            self.model = LocalModel(**options)
        except Exception as error:
            raise _translated(error) from error

    def answer(self, fields: Mapping[str, Any], energies_alone: bool) -> Result:
        """The result of one structure.

        Raises:
            ServiceError: there is none.
        """
        return self.answers([fields], energies_alone)[0]

    def answers(
        self, structures: Sequence[Mapping[str, Any]], energies_alone: bool
    ) -> list[Result]:
        """The results of several structures, in one evaluation.

        Raises:
            ServiceError: one has none.
        """
        try:
            answers = self.model.answers(structures, energies_alone)
        except Exception as error:
            raise _translated(error) from error
        card = self.model.backend.card
        model = Model(card.name, card.version, "")
        return [
            Result(
                None,
                index,
                model,
                energy=prediction.energy,
                forces=prediction.forces,
                stress=prediction.stress,
                energies=prediction.energies,
                energy_std=prediction.energy_std,
                forces_std=prediction.forces_std,
                warnings=tuple(AnswerWarning(each.code, each.message) for each in doubts),
                structure=fields,
            )
            for index, (fields, (prediction, doubts)) in enumerate(
                zip(structures, answers, strict=True)
            )
        ]


def _translated(error: Exception) -> Exception:
    """The client's error of the same name, or of a base's; what is no error of ours stays."""
    for kind in type(error).__mro__:
        known = getattr(errors, kind.__name__, None) if kind.__module__ == "app.errors" else None
        if known is EquipotError:
            return ServiceError("internal", str(error))
        if isinstance(known, type) and issubclass(known, ServiceError):
            return known(_code(known), str(error))
    return error


def _code(kind: type[ServiceError]) -> str:
    codes: dict[type, str] = {known: code for code, known in reversed(TYPES.items())}
    return next((codes[base] for base in kind.__mro__ if base in codes), "internal")
