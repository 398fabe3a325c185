"""A driver of i-PI's socket protocol: whoever moves the atoms sends positions, and is sent forces.

What is said (lengths are bohr, energies hartree; numbers little-endian, as the machine has them)::

    STATUS                    NEEDINIT | READY | HAVEDATA
    INIT      replica, text
    POSDATA   h, h⁻¹, N, positions
    GETFORCE                  FORCEREADY, energy, N, forces, virial, text
    EXIT

Where the text of INIT says `batch_size:B`, POSDATA and the answer are those of B structures of N
atoms. The text of an answer is JSON: `model`, `warnings`, and estimated errors of models that state
them.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from socket import socket
from typing import Any, TypeAlias

import numpy as np
from ase.calculators.socketio import IPIProtocol, SocketClosed
from ase.units import Bohr, Ha
from numpy.typing import NDArray

from app.errors import BackendError, InvalidStructure
from equipot.results import Result

Answer: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Sequence[Result]]
"""Results with forces, in order, of structures as fields of a request."""
BATCH = re.compile(rb"batch_size\s*:\s*(\d+)")


class Driver:
    """One connection to who moves the atoms.

    Args:
        connection: to them.
        atoms: fields of the structure: its `numbers` and `pbc`, and charge and multiplicity where it
            has some. Positions come over the connection, and so does the cell where it is periodic.
        answer: what computes.

    Attributes:
        evaluated: structures so far.
    """

    def __init__(self, connection: socket, atoms: Mapping[str, Any], answer: Answer) -> None:
        self._wire = IPIProtocol(connection)
        self._atoms, self._answer = dict(atoms), answer
        self._batch: int | None = None
        self._state = "NEEDINIT"
        self._results: Sequence[Result] = ()
        self._is_known = False
        self._volumes: NDArray[np.float64] = np.zeros(0)
        self.evaluated = 0

    def run(self) -> None:
        """Answer until the other side has enough.

        Raises:
            InvalidStructure: it sends another number of atoms than the structure has, or numbers that
                are not finite.
            BackendError: it says what is no word of the protocol, leaves before it said any or amidst
                a message, or does not say the first one before the connection's timeout, which
                ends with it.
            EquipotError: the model has no answer; the protocol has no word for that.
        """
        while (word := self._word()) != "EXIT":
            try:
                self._heard(word)
            except SocketClosed:
                raise BackendError(f"the connection was closed amidst {word}") from None

    def _word(self) -> str:
        try:
            word = str(self._wire.recvmsg())
        except TimeoutError:
            raise BackendError(
                "whoever listens there does not speak: nothing came before the time was over; is it "
                "i-PI?"
            ) from None
        except SocketClosed:
            if self._is_known:
                return "EXIT"
            raise BackendError(
                "the connection was closed before a word of i-PI's protocol came; is it i-PI that "
                "listens there?"
            ) from None
        except UnicodeDecodeError as error:
            raise BackendError(
                f"not i-PI's protocol: {error.object!r} where a word is due"
            ) from None
        self._is_known = True
        self._wire.socket.settimeout(None)
        return word

    def _heard(self, word: str) -> None:
        if word == "STATUS":
            self._wire.sendmsg(self._state)
        elif word == "INIT":
            _, text = self._wire.recvinit()
            announced = BATCH.search(text.tobytes())
            self._batch = int(announced[1]) if announced else None
            self._state = "READY"
        elif word == "POSDATA":
            self._evaluate(*self._geometries())
            self._state = "HAVEDATA"
        elif word == "GETFORCE" and self._state == "HAVEDATA":
            self._send()
            self._state = "READY"
        else:
            raise BackendError(f"not i-PI's protocol: {word!r} while {self._state}")

    def _geometries(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B, 3, 3) and (B, N, 3), Å."""
        try:
            if self._batch is None:
                cells = self._wire.recv((1, 2, 3, 3), np.float64)
                positions = self._wire.recv((1, self._count(), 3), np.float64)
            else:
                count = self._count()
                cells = self._wire.recv((self._batch, 2, 3, 3), np.float64)
                positions = self._wire.recv((self._batch, count, 3), np.float64)
        except AssertionError:
            raise InvalidStructure("positions or cell: a number that is not finite came") from None
        return cells[:, 0].transpose(0, 2, 1) * Bohr, positions * Bohr

    def _count(self) -> int:
        """Of atoms."""
        came, known = int(self._wire.recv(1, np.int32)[0]), len(self._atoms["numbers"])
        if came != known:
            raise InvalidStructure(
                f"{came} atoms came, and the file has {known}; they have to be the same ones in the "
                "same order"
            )
        return came

    def _evaluate(self, cells: NDArray[np.float64], positions: NDArray[np.float64]) -> None:
        periodic = any(self._atoms["pbc"])
        structures = [
            {**self._atoms, "positions": each, **({"cell": cell} if periodic else {})}
            for cell, each in zip(cells, positions, strict=True)
        ]
        self._volumes = np.abs(np.linalg.det(cells))
        self._results = self._answer(structures)
        self.evaluated += len(structures)

    def _send(self) -> None:
        """The answers, in one piece."""
        results = self._results
        forces = np.stack([result.forces for result in results if result.forces is not None])
        parts: list[Any] = [
            b"FORCEREADY".ljust(12),
            np.array([result.energy for result in results], np.float64) / Ha,
            np.int32(forces.shape[1]),
            forces * (Bohr / Ha),
            np.stack([_virial(*each) for each in zip(results, self._volumes, strict=True)]) / Ha,
        ]
        for result in results:
            text = json.dumps(extra(result)).encode()
            parts += [np.int32(len(text)), text]
        self._wire.socket.sendall(b"".join(parts))


def extra(result: Result) -> dict[str, Any]:
    """What is said of a result beside its numbers; the same names of all results of a model."""
    said: dict[str, Any] = {
        "warnings": [f"{each.code}: {each.message}" for each in result.warnings]
    }
    if result.model is not None:
        said["model"] = result.model.reference
    if result.energy_std is not None:
        said["energy_std_hartree"] = result.energy_std / Ha
    if result.forces_std is not None:
        said["forces_std_hartree_per_bohr"] = (result.forces_std * (Bohr / Ha)).tolist()
    return said


def _virial(result: Result, volume: float) -> NDArray[np.float64]:
    """(3, 3) eV, −dE/dstrain; zero where the model gives no stress, since it is no bulk."""
    return np.zeros((3, 3)) if result.stress is None else -volume * result.stress
