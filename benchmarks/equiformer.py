"""Time and memory of Equiformer at its published size, beside the official code.

    python -m benchmarks.equiformer

One thread, float32, random weights; a step is the gradient of a loss of energies and forces,
without optimiser. The official figures are constants: the code that Liao & Smidt published with
arXiv:2206.11990, run once on two cores of the same kind of machine with one thread, on aspirin of
MD17 and on 60-atom molecules with 5,176 edges in a batch of four. "GiB" is the peak of a process,
its libraries included.
"""

import argparse
from dataclasses import replace

from benchmarks.steps import VARIANTS, Case, Measurement, in_fresh_process

SYSTEMS = {
    "aspirin, energy and forces": Case("", "aspirin", 1, "evaluate", repeats=20),
    "8 aspirins, step": Case("", "aspirin", 8, "step"),
    "4 of 60 atoms, step": Case("", "strands", 4, "step"),
}
OFFICIAL = {
    "aspirin, energy and forces": {
        "non-linear": (364, None),
        "linear": (212, None),
        "dot product": (239, None),
    },
    "8 aspirins, step": {
        "non-linear": (7000, 3.9),
        "linear": (4000, 2.6),
        "dot product": (4500, 3.1),
    },
    "4 of 60 atoms, step": {
        "non-linear": (14900, 10.6),
        "linear": (9300, 6.2),
        "dot product": (11100, 6.9),
    },
}
"""ms, and GiB where it was measured."""


def line(name: str, variant: str, checkpointing: bool, found: Measurement) -> str:
    """One row, with how many times less than the official code it takes."""
    ms, gib = OFFICIAL[name][variant]
    peak = found.peak_mib / 1024
    how = f"{variant}, checkpointed" if checkpointing else variant
    memory = f"{peak:.2f} | | " if gib is None else f"{peak:.2f} | {gib} | {gib / peak:.1f}"
    return f"| {name} | {how} | {found.edges} | {found.ms:.0f} | {ms} | {ms / found.ms:.1f} | {memory} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument(
        "--size",
        choices=["published", "small"],
        default="published",
        help="small: to try the script",
    )
    options = parser.parse_args()
    print("| task | variant | edges | ms | official | ratio | GiB | official | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in options.systems:
        for variant in options.variants:
            for on in (False, True)[: 1 + (SYSTEMS[name].task == "step")]:
                case = replace(SYSTEMS[name], variant=variant, size=options.size, checkpointing=on)
                print(line(name, variant, on, in_fresh_process(case)), flush=True)


if __name__ == "__main__":
    main()
