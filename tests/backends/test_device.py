"""Names of devices."""

import pytest

from app.backends.device import HOST, Device
from app.errors import BackendError


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("cpu", HOST),
        ("cuda", Device("cuda")),
        ("cuda:0", Device("cuda")),
        ("cuda:3", Device("cuda", 3)),
    ],
)
def test_a_name_is_a_device(name: str, device: Device) -> None:
    assert Device.of(name) == device
    assert Device.of(device.name) == device


@pytest.mark.parametrize("name", ["tpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(
        BackendError, match=f"'{name}' is unknown; choose one of: cpu, cuda, cuda:N"
    ):
        Device.of(name)
