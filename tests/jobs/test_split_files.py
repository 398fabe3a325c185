"""Files of every format in parts: together they read as the whole does."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from app.errors import EquipotError, InvalidFormat
from app.formats.frame import Frame
from app.formats.registry import FORMATS, iter_frames
from app.jobs.files import BodyFile, file_of, split_files
from app.jobs.options import Body
from app.jobs.parts import PART_STRUCTURES, PartLimits, body
from app.jobs.split import GRAIN, PART_SMILES, SPLIT, split
from app.protocol.request import Entry, RequestLimits
from tests.formats.cif.test_reader import SALT
from tests.formats.mutation import mutated
from tests.formats.pdb.lines import CO
from tests.formats.poscar.test_reader import ARGON
from tests.formats.sdf.test_reader import WATER
from tests.formats.test_gaussian import CATION
from tests.formats.test_mol2 import ACETATE

LIMITS = PartLimits(100_000, 1_000_000)
REQUEST = RequestLimits(structures=1, atoms=1, relax_steps=100, conformers=1)
CELL = "CRYST1   10.000   10.000   10.000  90.00  90.00  90.00 P 1\n"
OTHER = CELL.replace("10.000 ", "11.000 ", 1)
RECORD = WATER if WATER.rstrip().endswith("$$$$") else WATER.rstrip() + "\n$$$$\n"
MODEL = "MODEL     1\n" + "".join(
    line + "\n" for line in CO.splitlines() if line.startswith(("ATOM", "HETATM"))
)
TEXTS: dict[str, Callable[[int], str]] = {
    "xyz": lambda count: "1\nid=a\nAr 0 0 0\n" * count,
    "sdf": lambda count: RECORD * count,
    "pdb": lambda count: CELL + (MODEL + "ENDMDL\n") * count + "END\n",
    "cif": lambda count: "# a file\n" + (SALT.rstrip() + "\n\n") * count,
    "mol2": lambda count: "# a file\n" + (ACETATE.rstrip() + "\n\n") * count,
    "gaussian": lambda count: "--Link1--\n".join([CATION.rstrip() + "\n\n"] * count),
    "smiles": lambda count: "smiles name\n# a file\n" + "CCO ethanol\n\n" * count,
    "poscar": lambda _: ARGON,
}


def whole(text: bytes, kind: str) -> list[Frame]:
    """The frames of a text as they are read at once; the error where it cannot be read."""
    try:
        return list(iter_frames(text, kind))
    except InvalidFormat as error:
        return [Frame(error)]


def in_parts(folder: Path, text: bytes, kind: str) -> list[Frame]:
    """The same, part by part."""
    path = folder / "input"
    path.write_bytes(text)
    parts = split(path, kind, LIMITS)
    found: list[Frame] = []
    for part in parts.parts:
        content = body(kind, parts.prefix, text[part.start : part.stop], part.structures)
        before = (part.first, part.lines - parts.prefix.count(b"\n"))
        found += iter_frames(content, kind, before if kind != "poscar" else (0, 0))
    return found


def told(frames: list[Frame]) -> list[tuple[str | None, str]]:
    """What is the same of two readings."""
    return [(frame.id, str(frame.structure)) for frame in frames]


def without_lines_of_cells(frames: list[tuple[str | None, str]]) -> list[tuple[str | None, str]]:
    """What was told, without the numbers of lines of cells, which parts have before themselves."""
    pattern = r"line \d+: (?='CRYST1|space group)"
    return [(name, re.sub(pattern, "", text)) for name, text in frames]


def test_every_format_is_taken_apart() -> None:
    assert set(SPLIT) == {"json", "msgpack", "lines", *FORMATS}
    assert set(TEXTS) == set(FORMATS)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_parts_read_as_the_whole_does(tmp_path: Path, kind: str, ends: str) -> None:
    count = 1 if kind == "poscar" else 2 * PART_STRUCTURES + 3
    text = TEXTS[kind](count).replace("\n", ends).encode()
    path = tmp_path / "input"
    path.write_bytes(text)
    parts = split(path, kind, LIMITS)
    assert parts.structures == count
    most = PART_SMILES if kind == "smiles" else PART_STRUCTURES
    assert max(part.structures for part in parts.parts) <= most
    assert told(in_parts(tmp_path, text, kind)) == told(whole(text, kind))


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind not in ("xyz", "poscar")])
def test_damaged_files_read_as_the_whole_does_or_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.parts.PART_BYTES", 1)
    random, agreed = Random(kind), 0
    for _ in range(150):
        text = mutated(TEXTS[kind](4), random)
        try:
            found = in_parts(tmp_path, text, kind)
        except InvalidFormat:
            continue
        if b"\r" not in text.replace(b"\r\n", b""):
            expected = without_lines_of_cells(told(whole(text, kind)))
            assert without_lines_of_cells(told(found)) == expected, text
            agreed += 1
    assert agreed > 50


def test_a_model_has_the_cell_that_holds_for_it(tmp_path: Path) -> None:
    frame = MODEL + "ENDMDL\n"
    text = CELL + frame * 2 + frame.replace("MODEL     1\n", "MODEL     1\n" + OTHER) + frame * 300
    text += frame.replace("MODEL     1\n", "MODEL     1\n" + CELL) + frame
    assert told(in_parts(tmp_path, text.encode(), "pdb")) == told(whole(text.encode(), "pdb"))


def test_messages_name_record_and_line_of_the_whole(tmp_path: Path) -> None:
    text = (RECORD * PART_STRUCTURES + "bad\n$$$$\n").encode()
    *_, last = in_parts(tmp_path, text, "sdf")
    lines = RECORD.count("\n") * PART_STRUCTURES
    assert f"molecule {PART_STRUCTURES}, line {lines + 1}" in str(last.structure)


def test_blocks_without_atoms_count_for_nothing(tmp_path: Path) -> None:
    text = "data_global\n_title 'no atoms'\n" + SALT + "\ndata_end\n_title ;\n;data_x\n;\n"
    path = tmp_path / "input"
    path.write_bytes(text.encode())
    assert split(path, "cif", LIMITS).structures == 1
    assert told(in_parts(tmp_path, text.encode(), "cif")) == told(whole(text.encode(), "cif"))


def test_lines_of_json_have_their_number(tmp_path: Path) -> None:
    line = b'{"symbols": ["Ar"], "positions": [[0, 0, 0]]}\n'
    text = b"\n" + line * PART_STRUCTURES + b"\nno json\n" + line
    path = tmp_path / "input"
    path.write_bytes(text)
    parts = split(path, "lines", LIMITS)
    made = Body("lines", [("relax", "true")], parts.prefix, REQUEST)
    entries = [e for p in parts.parts for e in made.entries(p, text[p.start : p.stop])]
    assert [entry.item for entry in entries[-2:]] == [PART_STRUCTURES + 2, PART_STRUCTURES + 3]
    assert isinstance(entries[-2].structure, InvalidFormat)
    assert made.request(parts.parts[0], text[: parts.parts[0].stop]).relax is not None


def test_files_beside_each_other(tmp_path: Path) -> None:
    texts = {"a.sdf": RECORD * 300, "b.unknown": "nothing", "POSCAR": ARGON, "none.xyz": ""}
    path, files, content = tmp_path / "input", list[BodyFile](), b""
    for name, text in texts.items():
        content += bytes(-len(content) % GRAIN)
        files.append(BodyFile(name, "", len(content), len(text)))
        content += text.encode()
    path.write_bytes(content)
    parts = split_files(path, files, LIMITS)
    assert parts.structures == 303
    made = Body("files", [], parts.prefix, REQUEST)
    entries: list[Entry] = []
    for part in parts.parts:
        entries += made.entries(part, content[part.start : part.stop])
    assert [entry.item for entry in entries] == [*[0] * 300, 1, 2, 3]
    failed = [entry.structure for entry in entries if isinstance(entry.structure, EquipotError)]
    assert [type(each) for each in failed] == [InvalidFormat] * 2
    assert (entries[300].id, "no format that is known" in str(failed[0])) == ("b.unknown", True)
    assert file_of(parts.prefix, 301)[1].name == "POSCAR"
    with pytest.raises(InvalidFormat, match="no format that is known"):
        split_files(path, files[1:2], LIMITS)
