"""Following: the relaxation of one structure, or a task, told of while it goes on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, suppress

from app.atoms.structure import Structure
from app.errors import EquipotError, InvalidRequest, InvalidStructure
from app.protocol import events
from app.protocol.request import PredictRequest
from app.protocol.response import PredictResponse
from app.relax import RelaxationState
from app.service.answer import Aids, result_of
from app.service.choice import Choice, ref_of
from app.tasks import Course, Stage


class Following:
    """Answers a request for one relaxation or task in events; belongs to one event loop.

    It is admitted when it is made, and until it is closed. Who takes events more slowly than the
    relaxation makes them gets fewer: only the last state, and the last stage of a task, is kept.

    Args:
        choice: the model, or those of which the structure has its own.
        request: for the relaxation of one structure, or for a task.
        aids: what answers need beside a model.

    Raises:
        InputError: neither of them, not one structure, or one that could not be read.
        Overloaded: the queue is full; says when to come back.
        Unavailable: the model is shutting down.

    Attributes:
        model: which answers.
    """

    def __init__(
        self,
        choice: Choice,
        request: PredictRequest,
        aids: Aids,
    ) -> None:
        self._structure = followed(request)
        potential = choice.potential(request.entries[0], request)
        self._potential, self._request, self._aids = potential, request, aids
        self.model = ref_of(potential)
        self._state: RelaxationState | None = None
        self._stage: Stage | None = None
        self._news = asyncio.Event()
        self._place = ExitStack()
        place = potential.admission.admit(1, len(self._structure), request.caller)
        self._place.enter_context(place)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """`begin`, some `step` and `progress`, and `end`."""
        yield events.begin(self.model, self._structure)
        answering = asyncio.ensure_future(self._answer())
        answering.add_done_callback(lambda _: self._news.set())
        try:
            while not answering.done() or self._state or self._stage:
                await self._news.wait()
                self._news.clear()
                state, self._state = self._state, None
                stage, self._stage = self._stage, None
                if state is not None:
                    yield events.step(self._structure, state)
                if stage is not None:
                    yield events.progress(stage)
            yield events.end(answering.result())
        finally:
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering

    def close(self) -> None:
        """Leave the queue; `events` must have ended."""
        self._place.close()

    async def _answer(self) -> PredictResponse:
        loop = asyncio.get_running_loop()

        def keep(state: RelaxationState) -> None:
            loop.call_soon_threadsafe(self._step, state)

        course = Course(keep=keep, tell=self._tell)
        (entry,) = self._request.entries
        result = await result_of(self._potential, entry, self._request, self._aids, course)
        return PredictResponse(self.model, self._request, [result])

    def _step(self, state: RelaxationState) -> None:
        self._state = state
        self._news.set()

    def _tell(self, stage: Stage) -> None:
        self._stage = stage
        self._news.set()


def followed(request: PredictRequest) -> Structure:
    """The one structure whose relaxation or task can be followed.

    Raises:
        InputError: neither is asked for, or of more than one structure, or of what is none.
    """
    if request.relax is None and request.task is None:
        raise InvalidRequest(
            "text/event-stream follows a relaxation or a task: ask for one, with relax or at /tasks"
        )
    if len(request.entries) != 1:
        raise InvalidRequest(
            f"text/event-stream follows one structure, and {len(request.entries)} are asked for; "
            "ask for application/json or application/x-ndjson"
        )
    structure = request.entries[0].structure
    if isinstance(structure, EquipotError):
        raise structure
    if not isinstance(structure, Structure):
        raise InvalidStructure("a SMILES, of which no geometry has been made")
    return structure
