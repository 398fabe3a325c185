"""Service: the one door for a request, from the message that asks to the one that answers."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

import orjson

from app.access.gate import Gate
from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.errors import (
    EquipotError,
    InputError,
    InvalidRequest,
    Overloaded,
    StructureTooLarge,
    Unavailable,
    UnsupportedElement,
)
from app.formats.registry import WRITERS
from app.protocol import qcschema
from app.protocol.decode import decode
from app.protocol.encode import ORJSON_OPTIONS, check_held, encode, fitting
from app.protocol.faults import fault
from app.protocol.lines import read_line
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, Kind, Message, PredictRequest, RequestLimits
from app.protocol.response import Answered, PredictResponse, Reply, Result
from app.service.administration import Administration
from app.service.answer import Aids, answer, result_of
from app.service.answer_cache import AnswerCache
from app.service.choice import Choice
from app.service.elsewhere import Elsewhere
from app.service.embedding import Embedding
from app.service.following import Following
from app.service.group import Alone, Group
from app.service.metrics import Metrics
from app.service.models import Models
from app.service.options import request_limits, safeguards
from app.service.stream import Stream
from app.service.suggestions import who_knows, who_was_left_out
from app.service.threads import INLINE_ATOMS, INLINE_BYTES, maybe_threaded
from app.settings import Settings
from app.tasks import Course
from app.telemetry.tracing import span


class Asks(Protocol):
    """What is asked in another protocol."""

    @property
    def request(self) -> PredictRequest:
        """The same, as it is asked here."""


AnyAsks = TypeVar("AnyAsks", bound=Asks)
T = TypeVar("T")


class Service:
    """Answers requests with the models of a store.

    Args:
        settings: of the service.
        elsewhere: runs the models, in the place of this process.

    Attributes:
        settings: as given.
        metrics: what it counts and measures.
        group: the processes that it is one of.
        models: what it answers with.
        administration: changes what that is.
        embedding: makes geometries of SMILES.
        gate: says who may ask.

    Raises:
        InvalidRequest: the file of keys, or of the deployment, is none, or cannot be read.
    """

    def __init__(self, settings: Settings, elsewhere: Elsewhere | None = None) -> None:
        self.settings = settings
        self.gate = Gate(settings.api_keys_file)
        self.metrics = Metrics()
        self.group: Group = Alone(self.metrics)
        self.models = Models(settings, self.metrics, elsewhere)
        self.administration = Administration(self.models)
        self._limits = request_limits(settings)
        self.embedding = Embedding(self._limits, settings.max_atoms, settings.embed_seconds)
        self._aids = Aids(
            safeguards(settings),
            self.metrics.answered,
            self._suggest,
            self.embedding.ask,
            elsewhere=elsewhere,
        )
        cache = AnswerCache.of(settings.answer_cache, self.metrics)
        self._cached = replace(self._aids, cache=cache)

    async def answer(self, message: Message) -> Reply:
        """The reply to a message. A structure that cannot be answered has its own error in it.

        Raises:
            InputError: the message holds no request, or one over a limit.
            StoreError: there is no such model, or it is not served.
            Overloaded: the queue is full; says when to come back.
            Unavailable: the service is starting or shutting down.
        """
        if qcschema.MARK in message.body:
            large = len(message.body) > INLINE_BYTES
            asked = await maybe_threaded(large, qcschema.document_of, message, self._limits)
            if asked is not None:
                return await self._atomic_result(asked)
        request = fitting(await self.read(message), message.accepts)
        response = await self.predict(request)
        if response.fault and message.accepts in WRITERS and WRITERS[message.accepts].single:
            raise next(error for error in response.results if isinstance(error, EquipotError))
        slow = message.accepts in WRITERS and WRITERS[message.accepts].starts_slowly
        large = request.n_atoms > INLINE_ATOMS or slow
        with span("write"):
            body = await maybe_threaded(large, encode, response, message.accepts)
        status = response.fault.status if response.fault else 200
        return Reply(status, message.accepts, body, response.models)

    async def _atomic_result(self, asked: qcschema.Asked) -> Reply:
        """The reply to one calculation of QCSchema; its errors are documents of that schema."""
        models: tuple[ModelRef, ...] = ()
        try:
            response = await self.predict(qcschema.read(asked, self._limits))
            models, (result,) = response.models, response.results
            if not isinstance(result, Answered):
                raise result
            status, document = 200, qcschema.result(asked, result, models[0])
        except (Overloaded, Unavailable):
            raise  # whoever asked may come back
        except EquipotError as error:
            status, document = fault(error).status, qcschema.failed_operation(asked, error)
        return Reply(status, "json", orjson.dumps(document, option=ORJSON_OPTIONS), models)

    async def read(self, message: Message) -> PredictRequest:
        """The request that a message holds, with geometries for its SMILES.

        Raises:
            InputError: the message holds no request, or one over a limit.
        """
        large = max(len(message.body), sum(len(f.content) for f in message.files)) > INLINE_BYTES
        with span("parse"):
            request = await maybe_threaded(large, decode, message, self._limits)
            drawn = await self.embedding.drawn(request.entries)
            return request if drawn is request.entries else replace(request, entries=drawn)

    async def read_lines(self, lines: AsyncIterator[bytes]) -> AsyncIterator[Entry]:
        """The entries of lines, with geometries for SMILES; a bad line is an error in its place."""
        number = -1
        async for line in lines:
            number += 1
            if not line.strip():
                continue
            large = len(line) > INLINE_BYTES
            entries = await maybe_threaded(large, read_line, line, number, self._limits)
            try:
                entries = await self.embedding.drawn(entries)
            except StructureTooLarge as error:
                entries = [Entry(entries[0].id, error, item=number)]
            for entry in entries:
                yield entry

    async def stream(self, request: PredictRequest, kind: Kind) -> Stream:
        """What answers a stream of structures; to be closed at its end, since its models stay until
        then.

        Args:
            request: what is asked of each; its entries are not looked at.
            kind: how results are written.

        Raises:
            InputError: an option out of its limit, a format that cannot hold what is asked, or out of
                domain is to be an error, which the model cannot tell.
            StoreError: there is no such model, or it is not served.
            Unavailable: the service is starting or shutting down.
        """
        check_held(request, kind)
        if kind in WRITERS and WRITERS[kind].single:
            raise InvalidRequest(f"format: {kind} holds one structure, and no stream of them")
        if request.relax is not None:
            request = replace(request, relax=self._limits.bounded(request.relax))
        if request.task is not None:
            request = replace(request, task=self._limits.bounded_task(request.task))
        slow = kind in WRITERS and WRITERS[kind].starts_slowly
        choice = self.choice(request)
        with ExitStack() as held:
            held.enter_context(choice.held())
            stream = await maybe_threaded(slow, Stream, choice, request, kind, self._cached)
            stream.close = held.pop_all().close
        return stream

    def follow(self, request: PredictRequest) -> Following:
        """The relaxation of one structure, to be told of while it goes on.

        Raises:
            InputError: no relaxation, not one structure, or one that could not be read.
            StoreError: there is no such model, or it is not served.
            Overloaded: the queue is full; says when to come back.
            Unavailable: the service is starting or shutting down.
        """
        return Following(self.choice(request), request, self._aids)

    def choice(self, request: PredictRequest) -> Choice:
        """The models that may answer a request.

        Raises:
            InvalidRequest: out of domain is to be an error, which they cannot tell.
            StoreError: there is no such model, or it is not served.
            Unavailable: the service is starting or shutting down.
        """
        return Choice(self.models.asked(request.model), request.on_ood)

    @contextmanager
    def asked(self, model: str | None) -> Iterator[Sequence[Potential]]:
        """The models of a request whose body is still to come; they stay until the block ends.

        Args:
            model: that the request names, if any.

        Raises:
            StoreError: there is no such model, or it is not served.
            Unavailable: the service is starting or shutting down.
        """
        choice = Choice(self.models.asked(model))
        with choice.held():
            yield choice.potentials

    async def stop(self) -> None:
        """Finish what was admitted, and end."""
        await self.models.stop()
        self.embedding.close()

    async def predict(
        self, request: PredictRequest, asked: Sequence[Potential] = ()
    ) -> PredictResponse:
        """The results of a request that has been read.

        Args:
            request: what is asked.
            asked: its models, where these are known already.

        Raises:
            InvalidRequest: out of domain is to be an error, which the model cannot tell.
            StoreError: there is no such model, or it is not served.
            Overloaded: the queue is full; says when to come back.
            Unavailable: the service is starting or shutting down.
        """
        choice = Choice(asked, request.on_ood) if asked else self.choice(request)
        return await answer(choice, request, self._cached)

    async def exchange(
        self,
        asked: Sequence[Potential],
        size: int,
        read: Callable[[RequestLimits], AnyAsks],
        write: Callable[[AnyAsks, PredictResponse], T],
    ) -> T:
        """The answer to a request of another protocol.

        Args:
            asked: its models.
            size: bytes of the request.
            read: makes the request of them, within the limits that it is given.
            write: makes the answer of the results.

        Raises:
            EquipotError: as `predict`, and what `read` and `write` raise.
        """
        with span("parse"):
            asking = await maybe_threaded(size > INLINE_BYTES, read, self._limits)
        response = await self.predict(asking.request, asked)
        large = asking.request.n_atoms > INLINE_ATOMS
        with span("write"):
            return await maybe_threaded(large, write, asking, response)

    async def result(
        self, potential: Potential, entry: Entry, request: PredictRequest, course: Course
    ) -> Result:
        """The result of one entry of a request that is too large to be admitted as a whole.

        Args:
            potential: the model that was asked for, or is its own of several.
            entry: the structure.
            request: what is asked of it.
            course: of its relaxation.

        Raises:
            Overloaded: the queue is full; says when to come back.
            Unavailable: the model is shutting down.
        """
        atoms = len(entry.structure) if isinstance(entry.structure, Structure) else 0
        with potential.admission.admit(1, atoms, request.caller):
            return await result_of(potential, entry, request, self._aids, course)

    def _suggest(self, structure: Structure, request: PredictRequest, error: InputError) -> str:
        cards = self.models.newest_cards()
        if isinstance(error, UnsupportedElement):
            return who_knows(cards, structure, request.on_ood)
        return who_was_left_out(cards, structure) if request.on_ood == "error" else ""
