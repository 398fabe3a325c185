"""Arguments that several tools take, with what is said of them."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from app.integrations.mcp.given import Given

Structures: TypeAlias = Annotated[list[Given], Field(min_length=1)]
ModelName: TypeAlias = Annotated[
    str | None,
    Field(
        description="`name` or `name@version`; where not given the service's default, or of several "
        "the one that is made for each structure"
    ),
]
Strict: TypeAlias = Annotated[
    bool, Field(description="take what is beyond the model's training data for an error")
]
Odd: TypeAlias = Annotated[
    bool, Field(description="answer for radicals, which models of closed shells refuse otherwise")
]
Force: TypeAlias = Annotated[
    float, Field(gt=0, description="converged when no atom's force is longer")
]
Steps: TypeAlias = Annotated[int, Field(ge=0, description="the most of a relaxation")]
Cell: TypeAlias = Annotated[
    Literal["fixed", "full", "isotropic", "lengths"], Field(description="what of a cell may change")
]
JobId: TypeAlias = Annotated[str, Field(description="as submit_job gave it")]


def common(model: str | None, strict: bool, odd: bool) -> dict[str, Any]:
    """Options of a request."""
    asked: dict[str, Any] = {"model": model, "allow_odd_electrons": odd}
    return asked | {"on_ood": "error" if strict else "warn"}


def relaxation(fmax: float, steps: int, cell: str) -> dict[str, Any]:
    """Options of a relaxation."""
    return {"fmax": fmax, "steps": steps, **({} if cell == "fixed" else {"cell": cell})}
