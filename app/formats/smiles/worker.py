"""The process of an `Embedder`: a line of JSON asks, a line of JSON answers, until there is no more.

RDKit may take minutes for a short text, hold the interpreter's lock meanwhile, or crash; here it
costs nobody else anything.
"""

import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from app.errors import InputError

MEMORY = 4 * 2**30
"""Bytes of address space; what needs more fails."""


def serve(niceness: int, most_work: float) -> None:
    """Answer what comes on standard input.

    Args:
        niceness: of this process.
        most_work: conformers times the cube of atoms, beyond which nothing is begun.
    """
    os.nice(niceness)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from rdkit import rdBase

    from app.formats.smiles.embedding import embed
    from app.formats.smiles.ensemble import compare, conformers
    from app.formats.smiles.forms import bonds, protomers, tautomers

    work: dict[str, Callable[..., dict[str, Any]]] = {
        "embed": partial(embed, most_work=most_work),
        "conformers": partial(conformers, most_work=most_work),
        "compare": compare,
        "bonds": bonds,
        "tautomers": partial(tautomers, most_work=most_work),
        "protomers": partial(protomers, most_work=most_work),
    }

    rdBase.DisableLog("rdApp.*")

    def answer(line: bytes) -> dict[str, Any]:
        try:
            question = orjson.loads(line)
            return work[question.pop("do")](**question)
        except InputError as error:
            return {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            return {"error": "StructureTooLarge", "message": "the molecule takes too much memory"}
        except Exception as error:
            return {"error": "InvalidStructure", "message": f"RDKit cannot make it: {error}"}

    answers.write(b"{}\n")
    answers.flush()
    for line in sys.stdin.buffer:
        answers.write(orjson.dumps(answer(line)) + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
