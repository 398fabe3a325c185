"""Files of packages, with random weights of small networks, and the networks."""

from functools import partial

import pytest
import torch

from tests.training.importers import plain as files
from tests.training.importers.plain import KINDS, Plain
from tests.training.importers.plain_mace import PlainMACE, write_mace

WRITERS = {
    "sevennet": files.write_sevennet,
    "sevennet, old": files.write_sevennet,
    "nequix": files.write_nequix,
    "nequip": files.write_nequip,
    "nequip, averaged": partial(files.write_nequip, averaged=True),
    "mace": write_mace,
    "mace, elaborate": write_mace,
}


@pytest.fixture
def double():
    """Float64, as the networks of e3nn here are made."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def written(double, tmp_path):
    """Writes a file of a kind, with changes of its configuration; gives its path and its network."""

    def write(kind, **changes):
        network = (
            PlainMACE(elaborate="elaborate" in kind)
            if kind.startswith("mace")
            else Plain(KINDS[kind.removesuffix(", averaged")])
        )
        path = tmp_path / "model.file"
        WRITERS[kind](network, path, **changes)
        return path, network

    return write
