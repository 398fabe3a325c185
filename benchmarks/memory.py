"""How much memory a training step of Equiformer takes, by atoms, with and without activation
checkpointing.

    python -m benchmarks.memory

Published setting with non-linear messages, one thread, float32; each number is the peak of a fresh
process and includes the program and its libraries (the first line). A load of other processes does
not change it.
"""

import argparse

from benchmarks.steps import CHAINS, SOLIDS, Case, Measurement, in_fresh_process


def rows(systems: list[str], batches: list[int], size: str) -> list[str]:
    """The table's lines."""
    lines = []
    for system in systems:
        for copies in batches:
            case = Case("non-linear", system, copies, "step", size=size, repeats=1)
            plain, checkpointed = (
                in_fresh_process(Case(**{**vars(case), "checkpointing": on}))
                for on in (False, True)
            )
            lines.append(line(system, copies, plain, checkpointed))
            print(lines[-1], flush=True)
    return lines


def line(system: str, copies: int, plain: Measurement, checkpointed: Measurement) -> str:
    """One row."""
    numbers = (
        plain.atoms,
        plain.edges,
        f"{plain.peak_mib / 1024:.2f}",
        f"{checkpointed.peak_mib / 1024:.2f}",
    )
    ratio = (plain.peak_mib - plain.base_mib) / (checkpointed.peak_mib - checkpointed.base_mib)
    return f"| {system} | {copies} | {' | '.join(map(str, numbers))} | {ratio:.1f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--systems", nargs="+", choices=[*CHAINS, *SOLIDS], default=[*CHAINS, *SOLIDS]
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--size", choices=["published", "small"], default="published")
    options = parser.parse_args()
    print(
        "| system | batch | atoms | edges | GiB | GiB, checkpointed | ratio without the libraries |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    rows(options.systems, options.batches, options.size)


if __name__ == "__main__":
    main()
