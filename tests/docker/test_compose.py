"""What the compose file starts is bounded and for this machine alone."""

from typing import Any

import pytest
import yaml

from tests.paths import ROOT

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())[
    "services"
]


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_it_has_little_and_may_do_little(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize(
    "path", ["Dockerfile", "docker/gpu.Dockerfile", "docker/trainer.Dockerfile"]
)
def test_images_run_as_a_user_without_privileges(path: str) -> None:
    users = [line for line in (ROOT / path).read_text().splitlines() if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]


@pytest.mark.parametrize("path", ["Dockerfile", "docker/gpu.Dockerfile"])
def test_images_listen_everywhere_on_purpose(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "EQUIPOT_HOST=0.0.0.0" in text
    assert "EQUIPOT_ALLOW_ANONYMOUS=true" in text
