"""A cluster of two nodes in processes of their own, until standard input ends."""

import os
import sys

from app.cluster.connection import OF_ITS_OWN

if __name__ == "__main__":
    os.environ.update(OF_ITS_OWN)
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 2, "object_store_memory": 100_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    cluster.add_node(num_cpus=2, object_store_memory=100_000_000)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
