"""Structures as a caller names them."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Self

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.integrations.mcp.kept import Kept
from equipot.structures import Item, items_of_one

MOST = 200
"""Structures of one call; more are a job."""


class Given(BaseModel):
    """One molecule or crystal, or a file of several: exactly one of smiles, content, path and answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smiles: str | None = Field(
        default=None, description="a molecule, of which a 3D geometry is made; charges count"
    )
    content: str | None = Field(
        default=None,
        description="the text of a small file (XYZ, SDF, CIF, POSCAR, PDB, MOL2); large files by path",
    )
    format: str | None = Field(
        default=None, description="of the content, as in 'cif'; found out where not given"
    )
    path: str | None = Field(
        default=None, description="a file on the user's machine; over stdio only"
    )
    answer: str | None = Field(
        default=None,
        description="answer_id of an earlier answer: its structures, as they ended if relaxed",
    )
    index: int | None = Field(
        default=None, ge=0, description="of an answer: this structure of it alone"
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        stated = [self.smiles, self.content, self.path, self.answer]
        if sum(value is not None for value in stated) != 1:
            raise ValueError("give exactly one of smiles, content, path and answer")
        if self.format is not None and self.content is None:
            raise ValueError("format: goes with content")
        if self.index is not None and self.answer is None:
            raise ValueError("index: goes with answer")
        return self


def items_of(
    structures: list[Given], kept: Kept, files: bool, conformers: int = 1, seed: int = 1
) -> list[Item]:
    """Structures as the client sends them.

    Args:
        structures: as they are named.
        kept: earlier answers.
        files: whether paths may be read.
        conformers: of each SMILES.
        seed: of their geometries.

    Raises:
        ToolError: a path over a network, an answer that is not kept, no or too many structures.
    """
    each = (item for given in structures for item in _items(given, kept, files, conformers, seed))
    items = list(islice(each, MOST + 1))
    if not items:
        raise ToolError("structures: there is none; give at least one")
    if len(items) > MOST:
        raise ToolError(f"over {MOST} structures; submit_job takes any number")
    return items


def path_of(given: Given, files: bool) -> Path:
    """The file that is named.

    Raises:
        ToolError: this is no machine of the caller's, or there is no such file.
    """
    if not files:
        raise ToolError("path: files are read over stdio only; send content, or a SMILES")
    path = Path(given.path or "").expanduser()
    if not path.is_file():
        raise ToolError(f"path: {path}: no such file; give an absolute path")
    return path


def _items(given: Given, kept: Kept, files: bool, conformers: int, seed: int) -> Iterator[Item]:
    if given.smiles is not None:
        many = {"conformers": conformers} if conformers > 1 else {}
        yield Item(
            {"smiles": given.smiles, "seed": seed, "id": given.smiles[:1000], **many}, not many
        )
    elif given.content is not None:
        named = {} if given.format is None else {"format": given.format}
        yield Item({"content": given.content, **named}, False)
    elif given.path is not None:
        yield from items_of_one(path_of(given, files))
    else:
        yield from _kept(given, kept)


def _kept(given: Given, kept: Kept) -> Iterator[Item]:
    results = kept.get(given.answer or "")
    if given.index is not None and given.index >= len(results):
        raise ToolError(f"index: {given.index}; the answer has {len(results)} structures, from 0")
    for result in results if given.index is None else [results[given.index]]:
        if result.ok and result.structure is not None:
            named = {} if result.id is None else {"id": result.id}
            yield Item({**result.structure, **named})
