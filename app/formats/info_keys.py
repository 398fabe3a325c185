"""Names with a meaning on the comment line of extXYZ and in ASE's `Atoms.info`."""

from app.formats.stated import LONGEST_KEY, meaning

GEOMETRY_KEYS = frozenset({"lattice", "pbc", "properties"})
"""In lower case; they are read in any."""
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


OWN_KEYS = frozenset(
    {
        "relaxed",
        "initial_energy",
        "fmax",
        "steps",
        "converged",
        "criterion",
        "reason",
        "warnings",
        "status",
        "code",
        "message",
        "model",
        "digest",
        "item",
    }
)
"""What an answer says of itself; not passed on either, so that an answer can be sent again."""


def is_remark(key: str) -> bool:
    """Whether a key says neither what the structure is nor what was computed for it."""
    if key in RESULT_KEYS or key.lower() in GEOMETRY_KEYS:
        return False
    return len(key) > LONGEST_KEY or meaning(key) in (None, "unit", "scaled", "unclear")
