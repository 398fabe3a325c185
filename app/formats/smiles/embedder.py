"""Embedder: geometries of SMILES, made in a process that is ended when it takes too long."""

import math
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
import orjson

from app.atoms.elements import isotopes_ignored
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import (
    EquipotError,
    InputError,
    InvalidFormat,
    InvalidRequest,
    InvalidStructure,
    StructureTooLarge,
)
from app.formats.notation import Smiles
from app.formats.topology import Bond, Topology

START_SECONDS = 60.0
"""That the process may take to import RDKit."""
CHUNK = 1 << 16
MISSING = (
    "SMILES are read by RDKit, which is not installed (pip install 'equipot[molecules]'); send 3D "
    "coordinates instead"
)


def is_available() -> bool:
    """Whether RDKit is installed."""
    return find_spec("rdkit") is not None


class TakesLonger(StructureTooLarge):
    """More work, or more time, than the process gives to one thing."""


@dataclass(frozen=True, slots=True)
class Conformers:
    """The geometries of one SMILES.

    Attributes:
        structures: one for each conformer.
        topology: of them all, with bonds of whole orders.
        warnings: what is doubtful about them all.
    """

    structures: list[Structure]
    topology: Topology
    warnings: tuple[AnswerWarning, ...]

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Self:
        """Those that the process has made.

        Raises:
            InvalidStructure: several unpaired electrons, of which nobody says how they couple.
        """
        charges, masses = dict(answer["charges"]), dict(answer["masses"])
        unpaired = dict(answer["radicals"])
        if sum(unpaired.values()) > 1:
            raise InvalidStructure(
                f"{sum(unpaired.values())} unpaired electrons, of which a SMILES does not say how they "
                "couple; state the multiplicity in an extXYZ file instead"
            )
        topology = Topology(
            tuple(Bond(*bond) for bond in answer["bonds"]),
            charges,
            dict.fromkeys(unpaired, 2),
            masses,
        )
        numbers = np.array(answer["numbers"], dtype=np.int64)
        structures = [
            Structure(
                numbers,
                np.array(positions),
                charge=topology.charge,
                multiplicity=topology.multiplicity(),
            )
            for positions in answer["positions"]
        ]
        warnings = [AnswerWarning(code, message) for code, message in answer["warnings"]]
        if masses:
            warnings.append(isotopes_ignored(sorted(masses)))
        return cls(structures, topology, tuple(warnings))


class Embedder:
    """Makes the geometries of one SMILES after the other; safe to use from several threads.

    Its process is started by the first SMILES and stays until `close`, or until one takes too long
    or crashes it; then the next SMILES starts another one.

    Args:
        most_work: conformers to make times the cube of atoms, beyond which nothing is begun.
        niceness: of its process; a larger one leaves the processor to others.
    """

    def __init__(self, most_work: float = math.inf, niceness: int = 0) -> None:
        self._limits = str(niceness), str(most_work)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def embed(self, smiles: Smiles, most_atoms: int, seconds: float) -> Conformers:
        """The conformers of a SMILES.

        Args:
            smiles: what is wanted.
            most_atoms: that the molecule may have, hydrogens included.
            seconds: that making them may take, without the start of the process.

        Raises:
            InvalidRequest: RDKit is not installed.
            InputError: no SMILES, no molecule, no geometry, or too large; names line and text.
            StructureTooLarge: too many atoms.
            TakesLonger: more work than is done here, or not made in time.
        """
        if not is_available():
            raise InvalidRequest(MISSING)
        try:
            return self._conformers(smiles, most_atoms, seconds)
        except InputError as error:
            raise type(error)(f"{smiles}: {error}") from None

    def _conformers(self, smiles: Smiles, most_atoms: int, seconds: float) -> Conformers:
        asked = {"text": smiles.text, "conformers": smiles.conformers, "seed": smiles.seed}
        question = {"do": "embed", **asked, "most_atoms": most_atoms}
        what = f"{smiles.conformers} conformer{'s' if smiles.conformers > 1 else ''}"
        return Conformers.of(self.ask(question, what, seconds))

    def ask(self, question: Mapping[str, Any], what: str, seconds: float) -> dict[str, Any]:
        """What the process answers.

        Args:
            question: `do` names a function that the process knows, the rest are its arguments.
            what: is wanted, for an error.
            seconds: that it may take, without the start of the process.

        Raises:
            InvalidRequest: RDKit is not installed.
            InputError: there is no answer; says why.
            TakesLonger: it is more work than is done here, or there is none in time.
        """
        if not is_available():
            raise InvalidRequest(MISSING)
        with self._lock:
            answer = self._ask(self._alive() or self._start(), question, seconds)
        if answer is None:
            raise TakesLonger(
                f"no {what} within {seconds:.3g} s, the most that one SMILES or molecule may take "
                "(embed_seconds); ask for fewer conformers, or send 3D coordinates"
            )
        if "error" in answer:
            raise _error(answer["error"], answer["message"])
        return answer

    def abandon(self) -> None:
        """End what is being made: nobody wants it any more."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the process."""
        self.abandon()
        with self._lock:
            self._end()

    def _alive(self) -> "subprocess.Popen[bytes] | None":
        if self._process is not None and self._process.poll() is not None:
            self._end()
        return self._process

    def _start(self) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join(place for place in sys.path if place)
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "app.formats.smiles.worker", *self._limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        if _line(process, START_SECONDS) is None:
            self._end()
            raise EquipotError("the process that makes geometries of SMILES does not start")
        return process

    def _ask(
        self, process: "subprocess.Popen[bytes]", question: Mapping[str, Any], seconds: float
    ) -> dict[str, Any] | None:
        """The answer; None where there is none in time, or the process has died of the question."""
        assert process.stdin is not None
        try:
            process.stdin.write(orjson.dumps(question, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
            process.stdin.flush()
            line = _line(process, seconds)
        except BrokenPipeError:
            line = b""
        if line is None or not line.endswith(b"\n"):
            self._end()
            if line is None:
                return None
            raise InvalidStructure(
                "RDKit has ended while it made the geometry; send 3D coordinates"
            )
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    def _end(self) -> None:
        if (process := self._process) is not None:
            self._process = None
            process.kill()
            process.communicate()


def _line(process: "subprocess.Popen[bytes]", seconds: float) -> bytes | None:
    """A line of its output, without an end where the process has ended; None if none came in time."""
    assert process.stdout is not None
    end, parts, output = time.monotonic() + seconds, list[bytes](), process.stdout.fileno()
    while not (parts and parts[-1].endswith(b"\n")):
        left = end - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            return None
        parts.append(os.read(output, CHUNK))
        if not parts[-1]:
            break
    return b"".join(parts)


def _error(name: str, message: str) -> EquipotError:
    kinds = (InvalidFormat, InvalidStructure, StructureTooLarge, TakesLonger)
    return next((kind(message) for kind in kinds if kind.__name__ == name), EquipotError(message))
