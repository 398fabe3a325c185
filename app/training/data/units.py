"""Units that labels may come in, as factors to eV and Å."""

from ase import units

from app.errors import InvalidConfig

ENERGY = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
    "Rydberg": units.Rydberg,
}
"""eV in one unit of energy."""
LENGTH = {"Å": 1.0, "A": 1.0, "Ang": 1.0, "Angstrom": 1.0, "bohr": units.Bohr, "nm": units.nm}
"""Å in one unit of length."""
FORCE = {
    f"{energy}/{length}": ENERGY[energy] / LENGTH[length] for energy in ENERGY for length in LENGTH
}
"""eV/Å in one unit of force."""
STRESS = {
    "eV/Å³": 1.0,
    "eV/A^3": 1.0,
    "GPa": units.GPa,
    "kbar": 0.1 * units.GPa,
    "bar": 1e-4 * units.GPa,
}
"""eV/Å³ in one unit of stress."""

TABLES = {"energy": ENERGY, "length": LENGTH, "force": FORCE, "stress": STRESS}


def factor(quantity: str, unit: str) -> float:
    """What a number in this unit is multiplied by to be in eV and Å.

    Args:
        quantity: `energy`, `length`, `force` or `stress`.
        unit: a key of that quantity's table.

    Raises:
        InvalidConfig: no such unit.
    """
    table = TABLES[quantity]
    if unit not in table:
        raise InvalidConfig(f"'{unit}' is no unit of {quantity}; choose one of: {', '.join(table)}")
    return table[unit]
