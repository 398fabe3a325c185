import bz2
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidFormat
from app.formats.compression import SMALLEST_LIMIT, expand, plain_name

COMPRESS = [gzip.compress, bz2.compress, lzma.compress]
TEXT = b"1\n\nAr 0 0 0\n" * 5000


@pytest.mark.parametrize("compress", COMPRESS)
def test_what_is_compressed_comes_back(compress):
    assert expand(compress(TEXT)) == TEXT
    assert expand(compress(b"")) == b""
    assert expand(compress(TEXT) + compress(b"more")) == TEXT + b"more"


@given(st.binary(max_size=200))
def test_plain_bytes_stay_as_they_are_or_are_refused(data):
    try:
        assert expand(data) == data
    except InvalidFormat:
        return


@pytest.mark.parametrize("compress", COMPRESS)
@pytest.mark.parametrize("end", [20, -20, -1])
def test_what_is_truncated_is_refused(compress, end):
    with pytest.raises(InvalidFormat, match=r"ends too early|cannot be read"):
        expand(compress(TEXT)[:end])


@pytest.mark.parametrize("compress", COMPRESS)
def test_what_is_damaged_is_refused(compress):
    data = bytearray(compress(TEXT))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InvalidFormat):
        expand(bytes(data) + b"rubbish")


@pytest.mark.parametrize("compress", COMPRESS)
def test_what_grows_beyond_the_limit_is_refused(compress):
    with pytest.raises(InvalidFormat, match=f"larger than {SMALLEST_LIMIT} bytes"):
        expand(compress(bytes(SMALLEST_LIMIT + 1)))


def test_many_small_streams_take_no_longer_than_their_size():
    assert expand(gzip.compress(b"x") * 20_000) == b"x" * 20_000


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4")],
)
def test_other_kinds_are_named(start, kind):
    with pytest.raises(InvalidFormat, match=f"compressed with {kind}, which is not read"):
        expand(start + b"data")


@pytest.mark.parametrize(
    ("name", "plain"),
    [("a.xyz.gz", "a.xyz"), ("A.SDF.XZ", "A.SDF"), ("a.bz2", "a"), ("a.xyz", "a.xyz"), ("", "")],
)
def test_names_lose_the_suffix_of_the_compression(name, plain):
    assert plain_name(name) == plain
