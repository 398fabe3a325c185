"""A cluster of two nodes in processes of their own, and servers whose models run on it."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from itertools import count

from app.service.elsewhere import Elsewhere
from app.settings import Settings
from tests.paths import ROOT


def is_installed() -> bool:
    """Whether Ray is."""
    return find_spec("ray") is not None


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a cluster for the length of a block."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    environment = os.environ | {"PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled"}
    os.environ["RAY_AUTH_MODE"] = "disabled"
    held = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.held"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        said = held.stdout.readline().strip()
        while said and not said.rpartition(":")[2].isdigit():
            said = held.stdout.readline().strip()
        assert said, "the cluster did not start"
        yield said
    finally:
        held.communicate(timeout=60)


@contextmanager
def engines_on(address: str) -> Iterator[Callable[[Settings], AbstractContextManager[Elsewhere]]]:
    """Replicas of a cluster, two for each service that is started within the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        import ray
        from ray import serve

        from app.cluster.serving import Scale, elsewhere, engines

        ray.init(address, log_to_driver=False)
        serve.start(proxy_location="Disabled")
    scale = Scale(min_replicas=2, max_replicas=2, cpus=0.1)
    numbers = count()

    @contextmanager
    def of(settings: Settings) -> Iterator[Elsewhere]:
        name = f"engines-{next(numbers)}"
        handle = serve.run(engines(settings, scale), name=name, route_prefix=None)
        try:
            yield elsewhere(handle, scale.max_replicas)
        finally:
            serve.delete(name)

    try:
        yield of
    finally:
        serve.shutdown()
        ray.shutdown()
