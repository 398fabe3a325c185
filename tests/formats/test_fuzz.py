"""Some thousand damaged files of each format: read or refused, in bounded time, and never worse.

`TEST_FUZZ` is how many are tried of each sample; warnings of numpy are errors here, too.
"""

import os
import time
from random import Random

import pytest

from app.atoms.structure import Structure
from app.errors import InputError
from app.formats.notation import Smiles
from app.formats.registry import FORMATS, read
from tests.formats.cif.test_reader import SALT
from tests.formats.mutation import mutated
from tests.formats.pdb.lines import CO, cell
from tests.formats.poscar.test_reader import ARGON, SLAB
from tests.formats.sdf.test_reader import EMPTY_V3000, HYDROXIDE, WATER
from tests.formats.test_gaussian import CATION
from tests.formats.test_mol2 import ACETATE

COUNT = int(os.environ.get("TEST_FUZZ", "1000"))
SLOWEST = 5.0
"""Seconds of one file of a few kB; some milliseconds are usual, and the machine may be busy."""
EXTXYZ = """3
Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:move_mask:L:1 pbc="T T F" charge=-1
O 0.0 0.0 0.1 T
H 0.0 0.9 -0.6 F
H 0.0 -0.9 -0.6 T
2
Charge: 1, triplet
6 0.0 0.0 0.1 extra
8 0.0 0.0 1.2 columns
"""
SAMPLES = {
    "xyz": (EXTXYZ,),
    "sdf": (WATER + HYDROXIDE, EMPTY_V3000),
    "pdb": (cell(15.0) + f"MODEL        1\n{CO}ENDMDL\nMODEL        2\n{CO}ENDMDL\n",),
    "cif": (SALT, SALT.replace("'F m -3 m'", "'P 1'") + SALT),
    "poscar": (ARGON, SLAB),
    "gaussian": (CATION,),
    "mol2": (ACETATE,),
    "smiles": ("CC(=O)O acid\n# remark\n\nC\n",),
}


def outcomes(data: bytes, name: str) -> list[Structure | Smiles | InputError]:
    try:
        return [frame.structure for frame in read(data, name)]
    except InputError as error:
        return [error]


def check(data: bytes, name: str) -> None:
    start = time.process_time()
    found = outcomes(data, name)
    assert time.process_time() - start < SLOWEST
    assert found
    for one in found:
        assert isinstance(one, Structure | Smiles) or len(str(one)) < 1000


@pytest.mark.parametrize(
    ("kind", "sample"),
    [(kind, sample) for kind, samples in SAMPLES.items() for sample in range(len(samples))],
)
def test_damaged_files_are_read_or_refused(kind: str, sample: int) -> None:
    random, text = Random(f"{kind} {sample}"), SAMPLES[kind][sample]
    for number in range(COUNT):
        data = mutated(text, random)
        try:
            check(data, "a" + FORMATS[kind].suffixes[0])
        except Exception as error:
            raise AssertionError(f"file {number} of {kind}: {data!r}") from error


def test_files_of_no_name_are_read_or_refused() -> None:
    random = Random("no name")
    texts = [text for samples in SAMPLES.values() for text in samples]
    for _ in range(COUNT // 10):
        check(mutated(random.choice(texts), random), "")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "data",
    [
        b"\n" * 200_000,
        b" " * 500_000,
        b"1 " * 250_000,
        b"'" * 200_000,
        b";\n" * 100_000,
        b"$$$$\n" * 50_000,
        b"data_\n" * 50_000,
        b"1\n\nH 0 0 0\n" * 5_000,
        b"=" * 200_000,
        b"charge " * 70_000,
        b"'a " * 100_000,
        b"x" * 500_000 + b"\n" + b"=" * 1000,
    ],
    ids=range(12),
)
def test_long_repetitions_take_no_longer_than_their_length(kind: str, data: bytes) -> None:
    check(data, "a" + FORMATS[kind].suffixes[0])
