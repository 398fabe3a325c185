"""A soak test: minutes of mixed load from 64 clients, without and with some that misbehave.

    python -m tests.soak --minutes 5

A real `equipot serve` answers keep-alive connections, each of which asks about once in `--interval`
seconds: molecules, crystals and slabs, single points and relaxations, in JSON, XYZ and MessagePack.
In the first phase 48 clients behave and the other 16 are silent. In the second, these send what
they should not, or leave, while the 48, whose times are compared, go on as before: the ratio counts
all time that the misbehaved take, of the model, too. In the middle of the second phase the store
changes: a new version of a model comes, its old version goes, one comes that cannot be read, and
the service is told so (SIGHUP).

Each good answer is compared with what the version that gave it answers to the structure alone,
without a service. Everything that must hold is checked and printed; the exit status is 1 if
anything does not.
"""

import argparse
import sys
from pathlib import Path

from tests.soak.plan import Plan
from tests.soak.trial import run


def main() -> None:
    """Run it, and say what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--minutes", type=float, default=5.0, help="of each phase (%(default)s)")
    parser.add_argument(
        "--interval", type=float, default=Plan.interval, help="s between requests (%(default)s)"
    )
    parser.add_argument(
        "--factor", type=float, default=Plan.factor, help="most that p95 may grow by (%(default)s)"
    )
    parser.add_argument(
        "--growth", type=float, default=Plan.growth, help="MB of memory (%(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=Plan.threads, help="of the service; 0 takes all cores"
    )
    given = parser.parse_args()
    plan = Plan(
        seconds=60 * given.minutes,
        interval=given.interval,
        factor=given.factor,
        growth=given.growth,
        threads=given.threads,
    )
    result = run(given.store, plan)
    print(result)
    sys.exit(0 if all(check.holds for check in result.checks) else 1)


if __name__ == "__main__":
    main()
