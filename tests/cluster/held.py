"""A cluster of two nodes in processes of their own, until standard input ends."""

import os
import socket
import sys
from contextlib import ExitStack

from app.cluster.connection import OF_ITS_OWN

PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)
"""That Ray would wait for, 15 s and no more, where it is not told them."""


def small_node() -> dict[str, int]:
    """Options of a node that takes little, with ports that are free."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in PORTS]
        for each in sockets:
            each.bind(("", 0))
        ports = {name: each.getsockname()[1] for name, each in zip(PORTS, sockets, strict=True)}
    return {"num_cpus": 2, "object_store_memory": 100_000_000, **ports}


if __name__ == "__main__":
    os.environ.update(OF_ITS_OWN)
    from ray.cluster_utils import Cluster

    head = {**small_node(), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(**small_node())
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
