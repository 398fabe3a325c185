"""The items of `structures`: a structure by its fields, a file's content, or a SMILES."""

import logging
from dataclasses import replace

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError, StructureTooLarge
from app.formats.notation import Smiles
from app.formats.registry import kind_of
from app.protocol.intake import Drawing, Intake, check_drawn
from app.protocol.item_types import FileIn, SmilesIn
from app.protocol.request import Entry, RequestLimits
from app.protocol.schemas import LONGEST_ID, StructureIn
from app.protocol.validation import validate

log = logging.getLogger(__name__)


def parse_structure(value: object) -> tuple[Structure, tuple[AnswerWarning, ...]]:
    """The structure in one element of `structures`, and what of it is read with a doubt.

    Raises:
        InputError: naming the field or atom, the value, the limit and the remedy.
    """
    return validate(StructureIn, value).structure()


def structure_id(value: object) -> str | None:
    """The `id` that a structure was sent with, whether or not the rest of it is sound."""
    given = value.get("id") if isinstance(value, dict) else None
    return given[:LONGEST_ID] if isinstance(given, str) else None


def entries_of(item: object, number: int, intake: Intake, limits: RequestLimits) -> list[Entry]:
    """The entries of an item, or why there are none; no item costs the others anything.

    Args:
        item: as it was sent.
        number: of the item, from 0.
        intake: of the request.
        limits: of the request.

    Raises:
        StructureTooLarge: the request has more structures or atoms than it may have.
    """
    name, fields = structure_id(item), item if isinstance(item, dict) else {}
    if "content" in fields:
        return _file(item, name, number, intake)
    own = number if "smiles" in fields else None
    try:
        read = _smiles if "smiles" in fields else _structure
        entry = read(item, name, intake, limits)
    except EquipotError as error:
        entry = Entry(name, error)
    except Exception as error:
        entry = Entry(name, _surprise(error))
    return [intake.take(entry if own is None else replace(entry, item=own))]


def _surprise(error: Exception) -> EquipotError:
    log.exception("a structure could not be read")
    return EquipotError(f"an unexpected {type(error).__name__}; the service's log has more")


def _structure(item: object, name: str | None, _: Intake, limits: RequestLimits) -> Entry:
    limits.check_atoms(_announced(item if isinstance(item, dict) else {}))
    structure, warnings = parse_structure(item)
    return Entry(name, structure, warnings=warnings)


def _announced(fields: dict[object, object]) -> int:
    """Atoms that an item has at least, if it is sound; known before anything is made of them."""
    lists = (fields.get(name) for name in ("symbols", "numbers", "positions"))
    return max((len(values) for values in lists if isinstance(values, list)), default=0)


def _smiles(item: object, name: str | None, intake: Intake, _: RequestLimits) -> Entry:
    given = validate(SmilesIn, item)
    drawing = Drawing(given.conformers, given.seed)
    return Entry(name, intake.drawn(Smiles(given.smiles), drawing), shown=True)


def _file(item: object, name: str | None, number: int, intake: Intake) -> list[Entry]:
    """The entries of a file, under their own names; under the item's, where it has one."""
    try:
        given = validate(FileIn, item)
        content = given.content.encode() if isinstance(given.content, str) else given.content
        kind = given.format or kind_of(content)
        check_drawn(given.model_fields_set, [kind])
        entries = list(intake.entries(content, kind, Drawing(given.conformers, given.seed)))
    except StructureTooLarge:
        raise  # the request is, with this file
    except EquipotError as error:
        entries = [intake.take(Entry(None, error))]
    except Exception as error:
        entries = [intake.take(Entry(None, _surprise(error)))]
    return [
        replace(entry, item=number, id=_name(name, entry.id, part, len(entries)), shown=True)
        for part, entry in enumerate(entries)
    ]


def _name(item: str | None, record: str | None, part: int, parts: int) -> str | None:
    """The id of a record: its own, after that of its item where there is one."""
    if item is None:
        return record if record is None else record[:LONGEST_ID]
    return item if parts == 1 else f"{item}:{part if record is None else record}"[:LONGEST_ID]
