"""Keys of the config's section on data."""

import pytest

from app.errors import InvalidConfig
from app.training.data.config import Source
from app.training.runs.config_file import parse


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"format": "qm9", "units": {}}, "QM9 is in Hartree and Å"),
        ({"format": "qm9", "keys": {"energy": "U1"}}, "choose one of U0, U, H, G"),
        ({"format": "deepmd", "keys": {"energy": "E"}}, "deepmd folders have fixed names"),
        ({"leave_out": "list.txt"}, "leave_out is for the format qm9 only"),
    ],
)
def test_keys_that_a_format_does_not_have_are_refused(keys, message):
    with pytest.raises(InvalidConfig, match=message):
        parse(Source, {"path": "a.xyz", **keys}, "test")
