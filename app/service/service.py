"""Service: the one door for a request, from the message that asks to the one that answers."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from app.protocol.decode import decode
from app.protocol.encode import encode
from app.protocol.request import Message, PredictRequest
from app.protocol.response import PredictResponse, Reply
from app.service.answer import answer
from app.service.metrics import Metrics
from app.service.models import Models
from app.service.options import request_limits, safeguards
from app.service.suggestions import who_knows
from app.settings import Settings

INLINE_BYTES = 64_000
INLINE_ATOMS = 2000
"""Messages up to this size are read and written faster than they are handed to a thread."""

P = ParamSpec("P")
T = TypeVar("T")


class Service:
    """Answers requests with the models of a store.

    Args:
        settings: of the service.

    Attributes:
        settings: as given.
        metrics: what it counts and measures.
        models: what it answers with.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.models = Models(settings, self.metrics)
        self._limits = request_limits(settings)
        self._safeguards = safeguards(settings)

    async def answer(self, message: Message) -> Reply:
        """The reply to a message. A structure that cannot be answered has its own error in it.

        Raises:
            InputError: the message holds no request, or one over a limit.
            StoreError: there is no such model, or it is not served.
            Overloaded: the queue is full; says when to come back.
            Unavailable: the service is starting or shutting down.
        """
        large = len(message.body) > INLINE_BYTES
        request = await _maybe_threaded(large, decode, message, self._limits)
        response = await self.predict(request)
        large = request.n_atoms > INLINE_ATOMS
        body = await _maybe_threaded(large, encode, response, message.accepts)
        status = response.fault.status if response.fault else 200
        return Reply(status, message.accepts, body, response.model)

    async def predict(self, request: PredictRequest) -> PredictResponse:
        """The results of a request that has been read.

        Raises:
            InvalidRequest: out of domain is to be an error, which the model cannot tell.
            StoreError: there is no such model, or it is not served.
            Overloaded: the queue is full; says when to come back.
            Unavailable: the service is starting or shutting down.
        """
        potential = self.models.potential(request.model)
        reference = potential.reference
        return await answer(
            potential,
            request,
            self._safeguards,
            lambda relaxed: self.metrics.relaxed(reference, relaxed),
            lambda structure: who_knows(self.models.newest_cards(), structure),
        )


async def _maybe_threaded(
    large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
