"""Answers that were given, under ids, so that one may come back to them."""

import secrets
from collections import OrderedDict

from mcp.server.mcpserver.exceptions import ToolError

from equipot import Result, Results

PREFIX = "answer-"


class Kept:
    """The last answers, as far as they fit.

    Args:
        answers: the most.
        atoms: the most, of all answers; the last answer is kept whatever it has.
    """

    def __init__(self, answers: int = 200, atoms: int = 1_000_000) -> None:
        self._most, self._room = answers, atoms
        self._kept: OrderedDict[str, tuple[Results, int]] = OrderedDict()
        self._atoms = 0

    def keep(self, results: Results) -> str:
        """Keep an answer; its id, which nobody guesses."""
        name = PREFIX + secrets.token_urlsafe(9)
        atoms = sum(map(atoms_of, results))
        self._kept[name] = results, atoms
        self._atoms += atoms
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._atoms > self._room):
            _, (_, freed) = self._kept.popitem(last=False)
            self._atoms -= freed
        return name

    def get(self, name: str) -> Results:
        """The answer of an id.

        Raises:
            ToolError: there is none, or it was given up for later ones.
        """
        if name not in self._kept:
            raise ToolError(f"{name}: no such answer is kept (any more); compute it again")
        self._kept.move_to_end(name)
        return self._kept[name][0]


def atoms_of(result: Result) -> int:
    """How many atoms a result is of; 0 where that is not known."""
    return len((result.structure or {}).get("positions", ()))
