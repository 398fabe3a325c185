"""What may stand in `structures` in the place of a structure's fields: a file, or a SMILES."""

from pydantic import Field

from app.formats.notation import LARGEST_SEED
from app.formats.registry import FORMATS
from app.protocol.schemas import LONGEST_ID
from app.protocol.wire import Wire


class FileIn(Wire):
    """The content of a file, which may hold several structures."""

    content: str | bytes = Field(
        description="all of it, as text; in MessagePack, bytes may be sent as well"
    )
    format: str | None = Field(
        default=None,
        description=f"one of {', '.join(FORMATS)}; by default, what the content looks like",
    )
    conformers: int = Field(default=1, ge=1, description="of each SMILES of the file")
    seed: int = Field(default=1, ge=1, le=LARGEST_SEED, description="as for a SMILES")
    id: str | None = Field(
        default=None,
        max_length=LONGEST_ID,
        description="comes back with the result; where the file has several structures, before the "
        "name or number of each, as in `id:name`",
    )


class SmilesIn(Wire):
    """A molecule, of which conformers are made: by RDKit's ETKDGv3, with hydrogens, cleaned by MMFF94."""

    smiles: str = Field(description="one word; formal charges count")
    conformers: int = Field(default=1, ge=1, description="a result for each")
    seed: int = Field(
        default=1, ge=1, le=LARGEST_SEED, description="of the random numbers; the same, the same"
    )
    id: str | None = Field(
        default=None,
        max_length=LONGEST_ID,
        description="comes back with the result, as `id:0`, `id:1`, … of several conformers",
    )
