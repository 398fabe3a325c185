"""Published errors on the data sets of the recipes, each with its source.

Figures were written down from the papers; a last digit may be off. Energies are in meV a structure,
force components in meV/Å.
"""

from dataclasses import dataclass

ALLEGRO = "Musaelian et al., Nat. Commun. 14, 579 (2023)"
MACE = "Batatia et al., NeurIPS 2022"
EQUIFORMER = "Liao and Smidt, ICLR 2023"
REPRODUCTION = "reproduction with the code of Liao and Smidt, 1500 epochs"


@dataclass(frozen=True)
class Published:
    """An error that others have reached.

    Attributes:
        data: the data set, as records of our own runs name it.
        model: what was trained.
        energy: meV; None where it is not stated.
        forces: meV/Å; None where it is not stated.
        source: where it stands.
        parameters: of the model, where stated.
        kind: of the errors, `mae` or `rmse`.
    """

    data: str
    model: str
    energy: float | None
    forces: float | None
    source: str
    parameters: int | None = None
    kind: str = "mae"


def _rows(
    prefix: str, model: str, source: str, errors: dict[str, tuple[float, float]]
) -> tuple[Published, ...]:
    return tuple(
        Published(f"{prefix}-{name}", model, e, f, source) for name, (e, f) in errors.items()
    )


MOLECULES = ("aspirin", "ethanol", "malonaldehyde", "naphthalene", "salicylic-acid")
PUBLISHED: tuple[Published, ...] = (
    *_rows(
        "rmd17",
        "Allegro",
        ALLEGRO,
        dict(
            zip(
                MOLECULES, ((2.3, 7.3), (0.4, 2.1), (0.6, 3.6), (0.5, 0.9), (0.9, 2.9)), strict=True
            )
        ),
    ),
    *_rows(
        "rmd17",
        "NequIP",
        ALLEGRO,
        dict(
            zip(
                MOLECULES, ((2.3, 8.2), (0.4, 2.8), (0.8, 5.1), (0.9, 1.3), (0.7, 4.0)), strict=True
            )
        ),
    ),
    *_rows(
        "rmd17",
        "MACE",
        MACE,
        dict(
            zip(
                MOLECULES, ((2.2, 6.6), (0.4, 2.1), (0.8, 4.1), (0.5, 1.6), (0.9, 3.1)), strict=True
            )
        ),
    ),
    *_rows(
        "md17",
        "Equiformer",
        EQUIFORMER,
        dict(
            zip(
                MOLECULES, ((5.3, 7.2), (2.2, 3.1), (3.3, 5.8), (3.7, 2.1), (4.5, 4.1)), strict=True
            )
        ),
    ),
    Published("md17-aspirin", "Equiformer, non-linear, MLP", 5.4, 7.2, REPRODUCTION, 3_500_000),
    Published("md17-aspirin", "Equiformer, linear, MLP", 5.4, 8.2, REPRODUCTION, 2_900_000),
    Published("md17-aspirin", "Equiformer, linear, dot product", 5.8, 9.2, REPRODUCTION, 3_300_000),
    Published("3bpa", "Allegro", 3.8, 13.0, ALLEGRO, kind="rmse"),
    Published("3bpa", "NequIP", 3.3, 10.8, ALLEGRO, kind="rmse"),
    Published("3bpa", "MACE", 3.0, 8.8, MACE, kind="rmse"),
    Published("qm9", "Allegro, 1 layer", 5.7, None, ALLEGRO),
    Published("qm9", "Allegro, 3 layers", 4.7, None, ALLEGRO),
    Published("qm9", "Equiformer", 6.59, None, EQUIFORMER),
)


def published(data: str) -> list[Published]:
    """What others have reached on a data set."""
    return [figure for figure in PUBLISHED if figure.data == data]


def counterpart(data: str, model: str) -> Published | None:
    """The published figure of the model that a run stands for; the last one, where its paper has
    several.

    Args:
        data: the data set.
        model: as `Record.model` says it.
    """
    figures = published(data)
    same = [figure for figure in figures if figure.model == model]
    return (
        same
        or [figure for figure in figures if figure.model.split(",")[0] == model.split(",")[0]]
        or [None]
    )[-1]


def error_kind(data: str) -> str:
    """The kind of errors that is usual for a data set: `rmse` for 3BPA, else `mae`."""
    figures = published(data)
    return figures[0].kind if figures else "mae"
