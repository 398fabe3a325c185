"""Write extXYZ."""

from collections.abc import Mapping

import numpy as np
import orjson

from app.atoms.structure import Floats, Structure
from app.formats.extxyz.comment_line import write_pairs
from app.formats.info_keys import is_remark


def format_frame(
    structure: Structure,
    *,
    energy: float | None = None,
    forces: Floats | None = None,
    stress: Floats | None = None,
    energies: Floats | None = None,
    energy_std: float | None = None,
    forces_std: Floats | None = None,
    info: Mapping[str, object] | None = None,
) -> str:
    """One frame of extXYZ, which reads back to the last bit; ASE reads the results into a
    calculator.

    Args:
        structure: atoms and cell.
        energy: eV.
        forces: (N, 3), eV/Å.
        stress: (3, 3), eV/Å³, positive under tension, as in ASE.
        energies: (N,), eV.
        energy_std: eV, uncertainty of the energy.
        forces_std: (N,), eV/Å, uncertainty of the forces.
        info: further pairs for the comment line; those named like geometry or results are left out.
    """
    columns, properties = [structure.positions], "species:S:1:pos:R:3"
    if forces is not None:
        columns, properties = [*columns, forces], f"{properties}:forces:R:3"
    for name, values in (("energies", energies), ("forces_std", forces_std)):
        if values is not None:
            columns, properties = [*columns, values[:, None]], f"{properties}:{name}:R:1"
    if structure.fixed is not None:
        properties = f"{properties}:move_mask:L:1"
    pairs = {
        "Lattice": structure.cell.ravel() if structure.cell.any() else None,
        "Properties": properties,
        "pbc": structure.pbc,
        "energy": energy,
        "stress": stress,
        "energy_std": energy_std,
        "charge": structure.charge or None,
        "multiplicity": structure.multiplicity,
        **{key: value for key, value in (info or {}).items() if is_remark(key)},
    }
    comment = write_pairs((key, value) for key, value in pairs.items() if value is not None)
    words = [structure.symbols, _number_rows(columns)]
    if structure.fixed is not None:
        words.append(["F" if fixed else "T" for fixed in structure.fixed])
    atoms = "\n".join(map(" ".join, zip(*words, strict=True)))
    return f"{len(structure)}\n{comment}\n{atoms}\n"


def _number_rows(columns: list[Floats]) -> list[str]:
    """Each row's numbers, in the fewest digits that read back the same; `nan` for what is not
    finite.
    """
    table = np.ascontiguousarray(np.concatenate(columns, axis=1, dtype=np.float64))
    text = orjson.dumps(table, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text[2:-2].replace("null", "nan").replace("],[", "\n").replace(",", " ").split("\n")
