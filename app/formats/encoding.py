"""Bytes of a text that are no UTF-8: what a frame says in them is told, and never computed from.

Readers see such bytes as surrogates (PEP 383), which are no part of any number, element or key. What
is left of them in names and remarks is read as Windows-1252, which most such files are written in.
"""

from dataclasses import replace

from app.atoms.warnings import AnswerWarning
from app.errors import InputError
from app.formats.frame import Frame
from app.formats.text import FOREIGN, SURROGATES, short

WINDOWS = {
    byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)
}
"""Characters that Latin-1 has not; five bytes that are none are control characters, as browsers have it."""
REMEDY = "save the file as UTF-8"


def is_foreign(text: str) -> bool:
    """Whether a text holds bytes that are no UTF-8."""
    return not text.isascii() and SURROGATES.search(text) is not None


def as_windows(text: str) -> str:
    """A text as it is; as Windows-1252 has all of it, where it holds bytes that are no UTF-8."""
    if not is_foreign(text):
        return text
    return text.encode(errors=FOREIGN).decode("latin-1").translate(WINDOWS)


def legible(frame: Frame) -> Frame:
    """A frame in whose words all bytes are characters, with a warning where some were no UTF-8.

    Where the structure could not be read by such bytes, its error says so.
    """
    words = {"id": frame.id or "", **frame.info}
    foreign = {name: text for name, text in words.items() if is_foreign(name + text)}
    structure = frame.structure
    messages = [each.message for each in frame.warnings]
    if isinstance(structure, InputError):
        messages.append(str(structure))
    if not foreign and not any(map(is_foreign, messages)):
        return frame
    if isinstance(structure, InputError) and is_foreign(str(structure)):
        said = f"{as_windows(str(structure))} ({_bytes(str(structure))}; {REMEDY})"
        structure = type(structure)(said)
    warnings = [replace(each, message=as_windows(each.message)) for each in frame.warnings]
    if foreign:
        warnings.append(_told(foreign))
    return replace(
        frame,
        structure=structure,
        id=None if frame.id is None else as_windows(frame.id),
        info={as_windows(name): as_windows(text) for name, text in frame.info.items()},
        warnings=tuple(warnings),
    )


def _told(foreign: dict[str, str]) -> AnswerWarning:
    name, text = next(iter(foreign.items()))
    more = f", and so in {len(foreign) - 1} more" if len(foreign) > 1 else ""
    return AnswerWarning(
        "not_utf8",
        f"{short(as_windows(name))}: {_bytes(name + text)}; read as Windows-1252, '{short(as_windows(text))}'"
        f"{more}; {REMEDY}",
    )


def _bytes(text: str) -> str:
    """The first byte of a text that is no UTF-8."""
    match = SURROGATES.search(text)
    assert match is not None
    return f"byte {ord(match[0]) - 0xDC00:#04x} is not UTF-8"
