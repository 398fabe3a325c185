"""The model that is measured, asked as the service and the command line ask it."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.atoms.structure import Structure
from app.engine.load import load_potential
from app.engine.potential import Potential, PotentialOptions
from app.formats.frame import Frame
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Result
from app.relax import RelaxOptions, Safeguards
from app.service.answer import Aids, answer
from app.service.choice import Choice
from app.store.location import DEFAULT_MODEL, default_store, located, open_store

AT_ONCE = 256
"""Structures of a request."""


@dataclass(frozen=True)
class Model:
    """A model of a store, ready to answer.

    Attributes:
        potential: that answers.
        runner: of the event loop that it lives on.
    """

    potential: Potential
    runner: asyncio.Runner

    def ask(
        self, structures: Sequence[Structure], relax: RelaxOptions | None = None
    ) -> list[Result]:
        """An answer or an error for each structure, in their order; evaluated together."""
        return self.ask_entries([Entry(None, structure) for structure in structures], relax)

    def ask_frames(self, frames: Sequence[Frame]) -> list[Result]:
        """The same for what was read from a file."""
        return self.ask_entries([Entry.of(frame) for frame in frames])

    def ask_entries(
        self, entries: Sequence[Entry], relax: RelaxOptions | None = None
    ) -> list[Result]:
        """The same for entries of a request."""
        results: list[Result] = []
        for start in range(0, len(entries), AT_ONCE):
            part = list(entries[start : start + AT_ONCE])
            results += self.runner.run(self._answer(part, relax))
        return results

    async def _answer(self, entries: list[Entry], relax: RelaxOptions | None) -> list[Result]:
        request = PredictRequest(entries, relax=relax)
        return (await answer(Choice([self.potential]), request, Aids(Safeguards()))).results


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Model]:
    """The model that the options name (`add_model_options`)."""
    stored = open_store(options.model_store or default_store()).load(options.model)
    potential = load_potential(stored, PotentialOptions(threads=options.threads))
    with asyncio.Runner() as runner:
        runner.run(_start(potential))
        try:
            yield Model(potential, runner)
        finally:
            runner.run(potential.stop())


async def _start(potential: Potential) -> None:
    potential.start()


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model, on how many threads, and where the numbers go."""
    parser.add_argument("--model", default=DEFAULT_MODEL, help="`name` or `name@version`")
    parser.add_argument("--model-store", type=located, help="folder or URL of the models")
    parser.add_argument("--threads", type=int, default=1, help="numerics threads (%(default)s)")
    parser.add_argument(
        "--output", type=Path, help="folder for a JSON file with everything that was measured"
    )
