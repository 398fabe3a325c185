"""The RayService: valid as far as Kubernetes and Ray Serve say, and of settings that there are."""

import importlib
from typing import Any

import pytest
import yaml

from app.settings import ENV_PREFIX, Settings
from tests.paths import ROOT

SERVICE = yaml.safe_load((ROOT / "docker" / "kuberay" / "rayservice.yaml").read_text())
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
GROUPS = {"head": CLUSTER["headGroupSpec"], "engines": CLUSTER["workerGroupSpecs"][0]}
SERVE = yaml.safe_load(SERVICE["spec"]["serveConfigV2"])
FIELDS = {
    "service": {"serveConfigV2", "rayClusterConfig"},
    "cluster": {"rayVersion", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"},
    "head": {"rayStartParams", "template"},
    "engines": {
        *("groupName", "replicas", "minReplicas", "maxReplicas"),
        *("rayStartParams", "template"),
    },
}
"""Those of KubeRay's ray.io/v1 that are used, whose schemas are in no package."""


def test_its_fields_are_those_of_kuberay() -> None:
    assert (SERVICE["apiVersion"], SERVICE["kind"]) == ("ray.io/v1", "RayService")
    assert SERVICE["spec"].keys() == FIELDS["service"]
    assert CLUSTER.keys() == FIELDS["cluster"]
    assert {name: group.keys() for name, group in GROUPS.items()} == {
        name: FIELDS[name] for name in GROUPS
    }


@pytest.mark.parametrize("group", GROUPS)
def test_its_pods_are_valid_and_may_do_little(group: str) -> None:
    """By the schemas of Kubernetes, which know no other fields."""
    kubernetes = pytest.importorskip("kubernetes_validate")
    pod: dict[str, Any] = GROUPS[group]["template"]["spec"]
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": group}, "spec": pod}
    kubernetes.validate(whole, kubernetes.latest_version(), strict=True)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    for variable in container["env"]:
        assert variable["name"].removeprefix(ENV_PREFIX).lower() in Settings.model_fields


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ray_serve_takes_what_it_is_to_run() -> None:
    """By its own schema; a replica fits into a worker, and all of them into the group."""
    pytest.importorskip("ray", reason="pip install 'equipot[cluster]'")
    from ray.serve.schema import ServeDeploySchema

    from app.cluster.serving import Scale

    deployed = ServeDeploySchema.model_validate(SERVE)
    (application,) = deployed.applications
    module, name = application.import_path.split(":")
    assert callable(getattr(importlib.import_module(module), name))
    scale = Scale.model_validate(application.args)
    workers = GROUPS["engines"]
    (container,) = workers["template"]["spec"]["containers"]
    assert scale.cpus == float(container["resources"]["requests"]["cpu"])
    assert scale.max_replicas == workers["maxReplicas"]


def test_the_version_of_ray_is_the_one_of_its_image() -> None:
    lock = (ROOT / "docker" / "requirements-cluster.lock").read_text()
    assert f"\nray=={CLUSTER['rayVersion']}" in lock
