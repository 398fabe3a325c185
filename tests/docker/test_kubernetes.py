"""The base for kustomize: valid for Kubernetes, of settings and routes that there are, and closed."""

from typing import Any

import pytest
import yaml

from app.cli.main import main
from app.settings import ENV_PREFIX, Settings
from tests.api.server import running
from tests.paths import ROOT

FOLDER = ROOT / "docker" / "kubernetes"
BASE = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = {
    document["kind"]: document
    for name in BASE["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text())
}
POD = RESOURCES["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
SCALER = RESOURCES["HorizontalPodAutoscaler"]["spec"]
ENVIRONMENT = {variable["name"]: variable.get("value") for variable in CONTAINER["env"]}
PROBES = {name: CONTAINER[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
def test_it_is_valid(resource: dict[str, Any]) -> None:
    """By the schemas of Kubernetes, which know no other fields."""
    kubernetes = pytest.importorskip("kubernetes_validate")
    kubernetes.validate(resource, kubernetes.latest_version(), strict=True)


def test_all_are_of_the_same_pods() -> None:
    labels = POD["metadata"]["labels"]
    selectors = [
        RESOURCES["Deployment"]["spec"]["selector"]["matchLabels"],
        RESOURCES["Service"]["spec"]["selector"],
        RESOURCES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        RESOURCES["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        BASE["labels"][0]["pairs"],
    ]
    assert selectors == [labels] * 5
    assert SCALER["scaleTargetRef"]["name"] == RESOURCES["Deployment"]["metadata"]["name"]


def test_it_has_little_and_may_do_little() -> None:
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["readOnlyRootFilesystem"]
    assert not container["allowPrivilegeEscalation"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert not POD["spec"]["automountServiceAccountToken"]
    assert CONTAINER["resources"]["limits"]["memory"]
    assert all(
        volume["emptyDir"]["sizeLimit"] for volume in POD["spec"]["volumes"] if "emptyDir" in volume
    )
    assert RESOURCES["NetworkPolicy"]["spec"]["egress"] == []


def test_its_settings_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variables that Kubernetes makes of a Service, such as EQUIPOT_PORT, are not."""
    assert not POD["spec"]["enableServiceLinks"]
    for name, value in ENVIRONMENT.items():
        assert name.removeprefix(ENV_PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(name, "2" if value is None else value)
    settings = Settings()
    assert settings.jobs_folder is None
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert {str(settings.cache), str(settings.api_keys_file.parent)} <= mounts
    grace = POD["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings.drain_timeout + CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_probes_and_the_autoscaler_ask_for_what_there_is(pair_store, tmp_path, capsys) -> None:
    """Without a key, as probes ask; the metric is that of the adapter and of the service."""
    file = tmp_path / "keys.json"
    assert main(["keys", "add", "prometheus", "--scopes", "metrics", "--file", str(file)]) == 0
    key = {"Authorization": f"Bearer {capsys.readouterr().out.split()[0]}"}
    with running(pair_store, api_keys_file=file) as server:
        for probe in PROBES.values():
            assert server.client.get(probe["httpGet"]["path"]).status_code == 200
        text = server.client.get("/metrics", headers=key).text
    (metric,) = (each["pods"]["metric"]["name"] for each in SCALER["metrics"])
    adapter = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())
    (rule,) = adapter["rules"]["custom"]
    assert rule["name"]["as"] == metric
    assert rule["metricsQuery"].startswith(f"sum({metric}{{")
    assert f"\n{metric}{{" in text
    assert SCALER["minReplicas"] > RESOURCES["PodDisruptionBudget"]["spec"]["maxUnavailable"]
