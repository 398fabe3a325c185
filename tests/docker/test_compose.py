"""What the compose file starts is bounded and for this machine alone, and watches what there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.server import running
from tests.paths import ROOT

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())[
    "services"
]


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_it_has_little_and_may_do_little(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
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


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(
    pair_store: Path, tmp_path: Path
) -> None:
    dashboard = json.loads((ROOT / "docker" / "grafana" / "equipot.json").read_text())
    (group,) = yaml.safe_load((ROOT / "docker" / "alerts.yml").read_text())["groups"]
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in group["rules"]]
    names = set(re.findall(r"\b(?:equipot|process)_\w+", " ".join(asked)))
    with running(pair_store, jobs_folder=tmp_path) as server:
        server.predict(
            {"symbols": ["Ar", "Ar"], "positions": [[0, 0, 0], [0, 0, 4]], "relax": True}
        )
        assert server.client.get("/jobs").status_code == 200
        text = server.client.get("/metrics").text
    assert [name for name in sorted(names) if f"{name}" not in text] == []


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [ROOT / "docker" / each.split(":")[0] for each in mounted if each.startswith(".")]
    assert len(files) == 5
    assert [path for path in files if not path.is_file()] == []
