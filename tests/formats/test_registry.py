import gzip

import pytest

from app.errors import InvalidFormat
from app.formats.registry import FORMATS, of_content, of_name, read
from tests.formats.cif.test_reader import SALT
from tests.formats.pdb.lines import CO
from tests.formats.poscar.test_reader import ARGON
from tests.formats.sdf.test_reader import WATER
from tests.formats.test_gaussian import CATION

XYZ = "1\n\nAr 0 0 0\n"
TEXTS = {"xyz": XYZ, "sdf": WATER, "pdb": CO, "cif": SALT, "poscar": ARGON, "gaussian": CATION}


def test_every_format_is_tried():
    assert set(TEXTS) == set(FORMATS)


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
