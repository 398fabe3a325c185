"""Wire: what all types that go over the wire have in common."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """Unknown fields are refused, values are not converted, and nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
