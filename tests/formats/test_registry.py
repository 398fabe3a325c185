import gzip

import pytest

from app.errors import InvalidFormat
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


def test_another_encoding_is_told():
    with pytest.raises(InvalidFormat, match="line 2: byte 2 is 0xe8, which is not UTF-8"):
        read("1\nè\nAr 0 0 0\n".encode("latin-1"), "a.xyz")


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
