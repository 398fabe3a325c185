"""Lines of PDB files for the tests."""


def atom(
    name: str = " C1 ",
    x: float = 0.0,
    *,
    z: float = 0.0,
    location: str = " ",
    residue: str = "LIG",
    number: int = 1,
    occupancy: str = "  1.00",
    element: str = " C",
    charge: str = "  ",
) -> str:
    """A line `HETATM` with an atom at (x, 0, z) Å."""
    place = f"{x:8.3f}{0.0:8.3f}{z:8.3f}"
    return (
        f"HETATM    1 {name}{location}{residue:>3} A{number:4}    {place}{occupancy}  0.00"
        f"          {element}{charge}\n"
    )


def cell(edge: float, group: str = "P 1", angles: str = "  90.00  90.00  90.00") -> str:
    """A line `CRYST1` of a cube."""
    return f"CRYST1{edge:9.3f}{edge:9.3f}{edge:9.3f}{angles} {group:<11} 1\n"


CO = atom(" C  ") + atom(" O  ", 1.128, element=" O")
