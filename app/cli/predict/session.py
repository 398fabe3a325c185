"""One run: structures are answered and written until the input, or a signal, ends it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace

from app.cli.predict.entries import Read
from app.cli.predict.flight import Answer, Flight
from app.cli.predict.output import Output
from app.cli.predict.report import Report
from app.engine.potential import Potential
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Result
from app.service.answer import Aids, answer
from app.service.choice import Choice
from app.service.embedding import Embedding
from app.service.load import Load
from app.service.options import request_limits, safeguards
from app.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""End a run in order; the second one ends it at once."""
REDRAWN = 0.25
"""Seconds between two drawings of the bar."""


@asynccontextmanager
async def answers_of(
    potential: Potential, request: PredictRequest, settings: Settings
) -> AsyncIterator[Answer]:
    """What answers an entry with a model of this process, for the length of a block.

    Args:
        potential: the model.
        request: what is asked of each entry.
        settings: that say where it is given up.
    """

    embedding = Embedding(request_limits(settings), sys.maxsize, settings.embed_seconds)
    aids = Aids(safeguards(settings), chemist=embedding.ask)

    async def one(entry: Entry) -> Result:
        response = await answer(Choice([potential]), replace(request, entries=[entry]), aids)
        return response.results[0]

    potential.start()
    try:
        yield one
    finally:
        await potential.stop()
        embedding.close()


async def answer_all(
    answering: AbstractAsyncContextManager[Answer],
    reads: Iterator[Read],
    window: Load,
    output: Output,
    report: Report,
) -> signal.Signals | None:
    """Answer what is read, and write and tell of each result.

    Args:
        answering: gives what answers an entry.
        reads: the structures.
        window: the most that are under way.
        output: where results go.
        report: is told of them.

    Returns:
        The signal that has ended the run before the input did.
    """
    async with answering as one:
        flight = Flight(reads, one, window)
        stopped = _stop_at_signals(flight)
        async with _drawn(report, flight), aclosing(flight.results()) as results:
            async for finished in results:
                output.add([(each.read.entry, each.result) for each in finished])
                for each in finished:
                    report.add(each)
    return next(iter(stopped), None)


def _stop_at_signals(flight: Flight) -> list[signal.Signals]:
    """Where the signal will be that has ended the flight."""
    loop, stopped = asyncio.get_running_loop(), list[signal.Signals]()

    def stop(number: signal.Signals) -> None:
        stopped.append(number)
        flight.stop()
        for each in SIGNALS:
            loop.remove_signal_handler(each)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    return stopped


@asynccontextmanager
async def _drawn(report: Report, flight: Flight) -> AsyncIterator[None]:
    """The bar, drawn again and again for as long as the block lasts."""

    async def draw() -> None:
        while True:
            report.show(flight.under_way)
            await asyncio.sleep(REDRAWN)

    drawing = asyncio.ensure_future(draw())
    try:
        yield
    finally:
        drawing.cancel()
