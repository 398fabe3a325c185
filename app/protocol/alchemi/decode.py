"""From a request of batched geometry relaxation to the request that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.atoms.structure import Floats, Structure
from app.errors import EquipotError, InvalidRequest, InvalidStructure
from app.protocol import counts, json_text
from app.protocol.alchemi.schemas import FORCE, PRESSURE, STEPS, RelaxAtoms, RelaxRequest
from app.protocol.request import Entry, PredictRequest, RequestLimits
from app.protocol.schemas import LONGEST_ID, integers
from app.protocol.validation import validate
from app.relax import RelaxOptions
from app.relax.options import GPA

KBAR = 0.1 * GPA
"""eV/Å³."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What is asked.

    Attributes:
        request: the structures, and how they are relaxed.
        sent: the fields of each structure, as they came; where one is unsound, its name alone.
        info: comes back.
    """

    request: PredictRequest
    sent: Sequence[Mapping[str, object]]
    info: str | None


def decode(body: bytes, model: str | None, limits: RequestLimits) -> Relaxation:
    """What a body asks. A structure that cannot be read is an error in its place.

    Args:
        body: JSON.
        model: `name`, `name@version`, or None for the default.
        limits: of a request.

    Raises:
        InvalidFormat: the body is no JSON.
        InvalidRequest: an unknown or ill-typed field outside the structures.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    counts.check_json(body, limits.structures, limits.atoms)
    asked = validate(RelaxRequest, json_text.parse(body))
    limits.check_structures(len(asked.atoms))
    relax = _options(asked, limits)
    pairs = [_read(item) for item in asked.atoms]
    request = PredictRequest([entry for entry, _ in pairs], model, relax=relax)
    limits.check_atoms(request.n_atoms)
    return Relaxation(request, [sent for _, sent in pairs], asked.info)


def _options(asked: RelaxRequest, limits: RequestLimits) -> RelaxOptions:
    """How to relax; the stress of a cell has a limit of its own.

    Raises:
        InvalidRequest: a limit of the stress, and no cell relaxes.
    """
    fmax = FORCE if asked.opttol is None else asked.opttol
    steps = min(STEPS, limits.relax_steps)
    if asked.cellopt:
        pressure = PRESSURE if asked.opttol_pressure is None else asked.opttol_pressure
        smax = pressure * KBAR
        return RelaxOptions(fmax=fmax, steps=steps, optimizer="lbfgs", cell="full", smax=smax)
    if asked.opttol_pressure is not None:
        raise InvalidRequest(
            "opttol_pressure: the cells are fixed, so that nothing holds their stress to a limit; "
            "leave it out, or set cellopt"
        )
    return RelaxOptions(fmax=fmax, steps=steps, optimizer="lbfgs")


def _read(item: object) -> tuple[Entry, dict[str, object]]:
    """An item's entry, and its fields as they were sent; of one with an unsound field, its name alone."""
    given = item.get("structure_id") if isinstance(item, dict) else None
    name = given[:LONGEST_ID] if isinstance(given, str) else None
    sent: dict[str, object] = {} if name is None else {"structure_id": name}
    try:
        atoms = validate(RelaxAtoms, item)
        sent = dict(item) if isinstance(item, dict) else sent
        return Entry(name, _structure(atoms)), sent
    except EquipotError as error:
        return Entry(name, error), sent


def _structure(atoms: RelaxAtoms) -> Structure:
    """The structure.

    Raises:
        InvalidStructure: naming the field or atom, the value, the limit and the remedy.
    """
    count = len(atoms.numbers)
    if len(atoms.coord) != 3 * count:
        raise InvalidStructure(
            f"coord: {len(atoms.coord)} numbers; {3 * count} are expected, x, y and z of each of the "
            f"{count} atoms in 'numbers'"
        )
    if atoms.active_mask is not None and len(atoms.active_mask) != count:
        raise InvalidStructure(
            f"active_mask: {len(atoms.active_mask)} values; there are {count} atoms in 'numbers'"
        )
    if atoms.cell is None and any(atoms.pbc):
        raise InvalidStructure(
            "cell: is missing, and pbc says that the structure is periodic, as it does where it is not "
            "stated; send a cell, or pbc [false, false, false]"
        )
    return Structure(
        integers(atoms.numbers),
        np.array(atoms.coord, np.float64).reshape(-1, 3),
        _cell(atoms),
        np.array(atoms.pbc),
        atoms.charge,
        atoms.mult,
        None if atoms.active_mask is None else ~np.array(atoms.active_mask, bool),
    )


def _cell(atoms: RelaxAtoms) -> Floats:
    return np.array([0.0] * 9 if atoms.cell is None else atoms.cell, np.float64).reshape(3, 3)
