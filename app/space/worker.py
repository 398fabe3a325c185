"""The process of a worker: pickled regions on standard input, pickled answers on standard output.

It is started as a module of its own, so that whoever asks for workers in a script need not guard
its main part, as the processes of `multiprocessing` would want.
"""

import os
import pickle
import sys
from typing import Any, BinaryIO

from app.errors import BackendError, EquipotError, OutOfMemory
from app.space.evaluator import Evaluator
from app.space.opening import Opening


def serve() -> None:
    """Open the model that comes first, then answer for regions until there are no more."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        opening, memory = pickle.load(questions)
        evaluator = _opened(opening, memory)
    except Exception as error:
        _send(answers, _told(error))
        return
    _send(answers, None)
    while True:
        try:
            region, derivatives = pickle.load(questions)
        except EOFError:
            return
        try:
            answer: Any = evaluator.answer(region, derivatives)
        except Exception as error:
            answer = _told(error)
        _send(answers, answer)


def _opened(opening: Opening, memory: int) -> Evaluator:
    return Evaluator(opening(), opening.device, memory)


def _send(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _told(error: Exception) -> EquipotError:
    """An error as it is raised where the region came from."""
    if isinstance(error, EquipotError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"a piece of the structure does not fit into a worker's memory: {error}")
    return BackendError(f"a worker failed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    serve()
