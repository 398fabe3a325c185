"""A structure as the document of a request holds it: what a client writes and `decode` reads."""

from collections.abc import Callable
from typing import Any

from app.atoms.structure import Floats, Structure


def _nested(array: Floats) -> Any:
    return array.tolist()


def structure_fields(
    structure: Structure, array: Callable[[Floats], Any] = _nested
) -> dict[str, Any]:
    """The fields of a structure.

    Args:
        structure: the atoms.
        array: how positions (N, 3) and cell (3, 3), both in Å, are written; as lists for JSON.
    """
    fields: dict[str, Any] = {
        "symbols": structure.symbols,
        "positions": array(structure.positions),
    }
    if structure.cell.any():
        fields |= {"cell": array(structure.cell), "pbc": structure.pbc.tolist()}
    if structure.charge:
        fields["charge"] = structure.charge
    if structure.multiplicity is not None:
        fields["multiplicity"] = structure.multiplicity
    return fields
