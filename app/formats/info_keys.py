"""Names with a meaning on the comment line of extXYZ and in ASE's `Atoms.info`."""

from collections.abc import Mapping

from app.errors import InvalidStructure

CHARGE_KEYS = ("charge", "total_charge")
MULTIPLICITY_KEYS = ("multiplicity", "spin_multiplicity", "spin")
"""`spin` is the multiplicity 2S+1, as in the OMol25 data set."""
GEOMETRY_KEYS = frozenset({"Lattice", "pbc", "Properties", *CHARGE_KEYS, *MULTIPLICITY_KEYS})
RESULT_KEYS = frozenset(
    {
        "energy",
        "free_energy",
        "forces",
        "stress",
        "virial",
        "energies",
        "dipole",
        "magmom",
        "energy_std",
        "forces_std",
    }
)
"""Not passed on from file to file: in an answer, they would be taken for the model's own."""


def is_remark(key: str) -> bool:
    """Whether a key says neither what the structure is nor what was computed for it."""
    return key not in GEOMETRY_KEYS and key not in RESULT_KEYS


def read_charge(info: Mapping[str, object]) -> int:
    """Total charge, in elementary charges; 0 where none is given.

    Raises:
        InvalidStructure: it is no whole number.
    """
    return _whole(info, CHARGE_KEYS) or 0


def read_multiplicity(info: Mapping[str, object]) -> int | None:
    """Spin multiplicity 2S+1, or None where it is not given.

    Raises:
        InvalidStructure: it is no whole number.
    """
    return _whole(info, MULTIPLICITY_KEYS)


def _whole(info: Mapping[str, object], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        if info.get(key) is not None:
            return _integer(key, info[key])
    return None


def _integer(key: str, value: object) -> int:
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise InvalidStructure(f"{key}: {value}; expected a whole number")
    return int(number)
