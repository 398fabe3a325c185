"""Where a model comes from that was trained with another package."""

from pydantic import Field

from app.store.certificate import Deviations, Part


class Comparison(Part):
    """How far a model is from what its own package says of the same weights, on crystals."""

    package: str = Field(max_length=200, description="name and version")
    structures: int = Field(ge=1, description="that were compared")
    largest: Deviations
    tolerance: Deviations


class Imported(Part):
    """The source of a model that was not trained here."""

    format: str = Field(max_length=100, description="of the file, by the importer's name")
    source: str = Field(max_length=1000, description="name of the file")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the file")
    citation: str = Field(default="", max_length=10_000)
    comparison: Comparison | None = Field(
        default=None, description="none where its package was not installed"
    )
