"""How Python runs a process that answers many structures."""

import gc
import sys

SWITCH_INTERVAL = 1e-4
"""Seconds after which a thread gives way to others: what comes back from the backend shall not wait
for 5 ms.
"""
GC_THRESHOLDS = (50_000, 20, 50)
"""Of Python's collector, whose own ones cost a large body two fifths of its parsing, and a screen a
tenth of its processor time: structures by the hundred are alive at a time, and none is in a cycle.
"""


def be_quick() -> None:
    """Have threads take turns often, and the collector look seldom."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
