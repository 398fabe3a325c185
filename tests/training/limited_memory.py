"""One epoch's batches of a data set.

Run by a test as a program of its own, under a limit of memory.

Arguments: folder of the data set, MiB that may be taken beyond what the libraries take, and a
folder for the cache. Prints a sum over all batches. Pages of a mapped file do not count, for they
can be given back at any time.
"""

import re
import resource
import sys
from pathlib import Path

import torch

from app.training.data.batches import BatchSize, epoch_batches
from app.training.data.load import Finder
from app.training.loop.problem import load_problem
from app.training.runs.config_file import parse_config
from tests.training.labelled import TINY


def limit_memory(mebibytes: int) -> None:
    """Refuse more private memory than this process has now, and so much more."""
    used = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert used
    resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(used[1]) + mebibytes * 2**20, -1))


def epoch_sum(folder: Path, cache: Path | None) -> tuple[int, float]:
    """Bytes of the data set, and a sum over everything that the batches of an epoch hold."""
    data = {"train": {"path": folder.name, "format": "deepmd"}, "split": {"validation": 0.1}}
    config = parse_config({"data": data, "model": TINY | {"cutoff": 20.0}}, "test")
    problem = load_problem(config, Finder(folder.parent, cache=cache))
    total = 0.0
    for indices in epoch_batches(problem.train.dataset, BatchSize(16), seed=0, epoch=0, bucket=8):
        batch = problem.train(indices)
        total += float(
            batch.inputs.edge_vectors.double().square().sum()
            + batch.targets.forces.double().abs().sum()
        )
    return problem.train.dataset.nbytes, total


if __name__ == "__main__":
    torch.set_num_threads(1)
    limit_memory(int(sys.argv[2]))
    print(epoch_sum(Path(sys.argv[1]), Path(sys.argv[3]) if sys.argv[3:] else None)[1])
