import gzip

import pytest

from app.errors import InputError, InvalidFormat
from app.formats.notation import Smiles
from app.formats.registry import (
    FORMATS,
    WRITERS,
    iter_frames,
    kind_of,
    of_content,
    of_name,
    read,
)
from tests.formats.cif.test_reader import SALT
from tests.formats.pdb.lines import CO
from tests.formats.poscar.test_reader import ARGON
from tests.formats.sdf.test_reader import WATER
from tests.formats.test_gaussian import CATION
from tests.formats.test_mol2 import ACETATE

XYZ = "1\n\nAr 0 0 0\n"
TEXTS = {
    "xyz": XYZ,
    "sdf": WATER,
    "pdb": CO,
    "cif": SALT,
    "poscar": ARGON,
    "gaussian": CATION,
    "mol2": ACETATE,
}


def test_every_format_is_tried():
    assert {*TEXTS, "smiles"} == set(FORMATS)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_format_is_known_by_statement_name_and_content_compressed_or_not(kind):
    text = TEXTS[kind]
    names = {"plain": "a" + FORMATS[kind].suffixes[0], "none": ""}
    for data in (text.encode(), gzip.compress(text.encode()), text.replace("\n", "\r\n").encode()):
        found = [read(data, name) for name in names.values()] + [read(data, "a.txt", kind)]
        symbols = [[frame.structure.symbols for frame in frames] for frames in found]
        assert symbols[0] == symbols[1] == symbols[2]
        assert symbols[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("A.XYZ", "xyz"),
        ("a.sd", "sdf"),
        ("a.mdl", "sdf"),
        ("pdb1abc.ent", "pdb"),
        ("POSCAR", "poscar"),
        ("CONTCAR_argon", "poscar"),
        ("run3.POSCAR", "poscar"),
        ("POSCAR.xyz", "xyz"),
        ("SUPERPOSCARS", None),
        ("coord", None),
        ("", None),
    ],
)
def test_names(name, kind):
    assert of_name(name) == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just some text\n",
        "9 C\nC O H\n",
        "\n" * 5000,
        "charge 1\n",
        "$coord\n",
        "# remark\n1 2 3\n",
        "\n12\n",
    ],
)
def test_other_contents_are_none_of_ours(text):
    assert of_content(text.encode()) is None


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_without_structures_says_what_is_expected(kind):
    with pytest.raises(InvalidFormat, match=r"no structures; .* is expected"):
        read(b"\n", "a" + FORMATS[kind].suffixes[0])


def test_a_byte_order_mark_is_no_part_of_a_title():
    (frame,) = read(b"\xef\xbb\xbf" + WATER.encode(), "a.sdf")
    assert frame.id == "water"
    assert read(b"\xef\xbb\xbf" + XYZ.encode())[0].structure.symbols == ["Ar"]


def test_names_and_remarks_that_are_not_utf_8_are_told():
    named = WATER.removesuffix("$$$$\n").replace("water", "caféine", 1)
    told = WATER.removesuffix("$$$$\n") + ">  <MOLPORT>\n20 µg – Å\n\n"
    text = f"{named}$$$$\n{told}$$$$\n"
    title, field = read(text.encode("cp1252"), "a.sdf")
    assert title.id == "caféine"
    assert [(each.code, each.message) for each in title.warnings] == [
        (
            "not_utf8",
            "id: byte 0xe9 is not UTF-8; read as Windows-1252, 'caféine'; save the file as UTF-8",
        )
    ]
    assert (field.id, field.info["MOLPORT"]) == ("water", "20 µg – Å")
    assert [each.code for each in field.warnings] == ["not_utf8"]
    clean, _ = read(text.encode(), "a.sdf")
    assert (clean.id, clean.info, clean.warnings) == (title.id, title.info, ())


def test_nothing_is_computed_from_bytes_that_are_not_utf_8():
    text = "1\nunits=Å\nAr 0 0 0\n1\n\nAr\xa0 0 0 0\n1\nid=b\nAr 0 0 0\n"
    unit, symbol, fine = read(text.encode("latin-1"), "a.xyz")
    for frame, byte in ((unit, "0xc5"), (symbol, "0xa0")):
        assert isinstance(frame.structure, InputError)
        assert f"byte {byte} is not UTF-8; save the file as UTF-8" in str(frame.structure)
        str(frame.structure).encode()
    assert fine.structure.symbols == ["Ar"]
    assert fine.warnings == ()


def test_the_name_of_a_smiles_may_be_of_another_encoding():
    named, bad = read("CCO éthanol\nCé methyl\n".encode("latin-1"), "a.smi")
    assert (named.id, [each.code for each in named.warnings]) == ("éthanol", ["not_utf8"])
    assert "'Cé' is no SMILES, which is one word (byte 0xe9 is not UTF-8" in str(bad.structure)


@pytest.mark.parametrize("kind", TEXTS)
def test_utf_16_is_refused_whatever_the_format(kind):
    with pytest.raises(InvalidFormat, match="the text is UTF-16"):
        read("1\n\nAr 0 0 0\n".encode("utf-16"), kind=kind)


def test_a_stated_format_goes_before_the_name():
    with pytest.raises(InvalidFormat):
        read(XYZ.encode(), "a.xyz", "cif")


def test_smiles_are_known_by_name_alone():
    (frame,) = read(b"CCO ethanol\n", "a.smi.gz")
    assert (frame.structure, frame.id) == (Smiles("CCO"), "ethanol")
    assert of_content(b"CCO ethanol\n") is None
    with pytest.raises(InvalidFormat, match="no format that is known, by name or content"):
        kind_of(b"CCO ethanol\n", "a.txt")


def test_frames_are_read_one_by_one():
    frames = iter_frames(XYZ.encode() * 2 + b"torn", "xyz")
    assert next(frames).structure.symbols == ["Ar"]
    assert isinstance(next(frames).structure, InvalidFormat)


@pytest.mark.parametrize("kind", WRITERS)
def test_media_types_and_suffixes_are_those_of_readers(kind):
    written = WRITERS[kind]
    if kind in FORMATS:
        assert written.media_type == FORMATS[kind].media_types[0]
        assert written.suffix in FORMATS[kind].suffixes


def test_no_two_formats_have_a_media_type():
    media = [name for known in FORMATS.values() for name in known.media_types]
    assert len(media) == len(set(media))
