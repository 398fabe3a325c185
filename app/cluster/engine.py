"""Engine: a replica of the service's numerics, an actor of Ray Serve."""

import os
import platform
import sys
from dataclasses import replace
from typing import NamedTuple

from app.cluster.workers import check_version
from app.engine.budget import Budget
from app.engine.potential import Potential
from app.errors import CorruptModel, EquipotError
from app.process import be_quick
from app.protocol.request import PredictRequest
from app.protocol.response import Result
from app.service.answer import Aids, answer
from app.service.choice import Choice
from app.service.options import safeguards
from app.service.service import Service
from app.settings import Settings
from app.store.card import ModelCard
from app.telemetry.logs import configure_logging

OWN = {
    "queue_structures": sys.maxsize,
    "queue_atoms": sys.maxsize,
    "deployment_file": None,
    "api_keys_file": None,
    "jobs_folder": None,
    "answer_cache": 0,
}
"""Settings that are of the door in front of the replicas, which has queue, keys, jobs and cache."""


class Opened(NamedTuple):
    """A model that a replica has.

    Attributes:
        card: of the model.
        digest: of the card.
        runs_on: name and version of what computes.
        budget: the largest batch of one replica.
        node: its machine.
        process: its id there.
    """

    card: ModelCard
    digest: str
    runs_on: str
    budget: Budget
    node: str
    process: int


class Piece(NamedTuple):
    """Structures that one replica answers.

    Attributes:
        reference: `name@version` of their model.
        digest: of that version.
        request: with the structures, and what is asked of each.
    """

    reference: str
    digest: str
    request: PredictRequest


class Engine:
    """Answers pieces of requests, as the service in one process answers requests.

    Args:
        settings: of the service.
        version: of Equipot where they come from.
    """

    async def __init__(self, settings: Settings, version: str) -> None:  # type: ignore[misc]
        check_version(version, "the service")
        be_quick()
        configure_logging(settings.log_level, settings.log_format)
        self._service = Service(settings.model_copy(update=OWN))
        self._aids = Aids(safeguards(settings), chemist=self._service.embedding.ask)
        await self._service.models.start()

    async def opened(self, reference: str) -> Opened | EquipotError:
        """A model, loaded if it was not, or why it cannot be."""
        try:
            potential = await self._potential(reference)
        except EquipotError as error:
            return error
        return Opened(
            potential.card,
            potential.digest,
            potential.runs_on,
            potential.workers.budget,
            platform.node(),
            os.getpid(),
        )

    async def answer(self, piece: Piece) -> list[Result]:
        """The results of the structures of a piece, in their order."""
        try:
            potential = await self._potential(piece.reference)
            if potential.digest != piece.digest:
                raise CorruptModel(
                    f"{platform.node()} has another {piece.reference} (digest "
                    f"{potential.digest[:12]}) than the service ({piece.digest[:12]}); all machines "
                    "must have the same model store"
                )
            request = replace(piece.request, caller=object())
            return (await answer(Choice([potential]), request, self._aids)).results
        except EquipotError as error:
            return [error] * len(piece.request.entries)

    async def _potential(self, reference: str) -> Potential:
        models = self._service.models
        if reference not in models.potentials:
            await models.load(reference)
        return models.potentials[reference]
