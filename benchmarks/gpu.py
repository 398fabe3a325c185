"""A GPU in one call: what is there, whether the numbers are right, how fast it is.

    python -m benchmarks.gpu --peer-python PEER/bin/python | tee gpu.md
    python -m benchmarks.gpu --device cpu --quick

First what is there, then the tests that need a GPU, the benchmarks and `equipot bench`, each in a
process of its own. Prints Markdown, section by section, as each ends, so that a machine that is
taken away leaves what it measured. Ends with status 1 where the device is not used, an answer is
wrong, or a section fails. Needs no network. The second command but tries the script, without a GPU.
How to make the peer's environment is written in `benchmarks/peers/nequip_allegro.py`.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from benchmarks.timing import print_header, print_row
from benchmarks.training import MODES

PACKAGES = ("numpy", "ase", "vesin", "onnxruntime", "onnxruntime-gpu", "torch", "e3nn", "onnx")
SLOTS = (1 << 16, 1 << 18, 1 << 20)
"""Most slots of a run, to be compared on large batches."""
TINY = ["--l-max", "0", "--layers", "1", "--scalars", "4", "--tensors", "2", "--cutoff", "4"]


def sections(options: argparse.Namespace) -> dict[str, list[str]]:
    """Python's arguments, by what they measure."""
    device, store = ["--device", options.device], str(options.store)
    peer = ["--peer-python", str(options.peer_python)] if options.peer_python else []
    inference, training = (["-m", f"benchmarks.{n}", *device] for n in ("inference", "training"))
    relaxation = ["-m", "benchmarks.relaxation", "throughput", *device, "--store", store]
    equipot = ["-m", "app.cli.main"]
    model = ["organic-xtb", "--model-store", store, *device]
    if options.quick:
        short = ["--rounds", "1", "--seconds", "0.02", *TINY]
        return {
            "answers": ["-m", "pytest", "tests/backends/test_bundled.py"],
            "latency": [*inference, "--aspirins", "1", "--silicon", *short],
            "relaxation": [*relaxation, "--count", "2", "--sample", "1"],
            "service": [*equipot, "bench", *model, "--only", "service", "--seconds", "0.2"],
            "training": [*training, "--batch-sizes", "2", *short],
        }
    large = ["--aspirins", "256", "1024", "4096", "16384", "--silicon", "10", "20", "40"]
    relaxation += ["--batch-atoms", "50000"]
    in_flight = [
        (f"{n} relaxations", [*relaxation, "--in-flight", str(n), "--count", str(n)])
        for n in (256, 1024)
    ]
    return {
        "answers": ["-m", "pytest", "-m", "gpu"],
        "latency": [*inference, *peer],
        **{f"batches, {n} slots": [*inference, *large, "--slots", str(n)] for n in SLOTS},
        **dict(in_flight),
        "budget": [*equipot, "models", "calibrate", *model],
        "service": [*equipot, "bench", *model, "--clients", "1", "16", "64", "--in-flight", "256"],
        "training": [*training, *peer, "--batch-sizes", "8", "64", "--modes", *MODES],
    }


def environment() -> None:
    """Print versions and devices."""
    print_header(["what", "found"], texts=2)
    print_row(["python", f"{platform.python_version()}, {platform.platform()}"])
    for name in PACKAGES:
        try:
            print_row([name, metadata.version(name)])
        except metadata.PackageNotFoundError:
            print_row([name, "–"])
    if shutil.which("nvidia-smi"):
        query = "--query-gpu=name,driver_version,memory.total"
        subprocess.run(["nvidia-smi", query, "--format=csv,noheader"], check=False, timeout=60)


def run(name: str, arguments: list[str]) -> bool:
    """Print a section; whether its command succeeded."""
    print(f"\n## {name}\n\n`python {' '.join(arguments)}`\n", flush=True)
    began = time.perf_counter()
    status = subprocess.run([sys.executable, *arguments], check=False).returncode
    print(f"\n({time.perf_counter() - began:.0f} s, status {status})", flush=True)
    return status == 0


def main(words: list[str] | None = None) -> int:
    """Measure; 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="see that all runs; the numbers are worth nothing"
    )
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peer's environment")
    parser.add_argument("--store", type=Path, default=Path("model_store"), help="(%(default)s)")
    options = parser.parse_args(words)
    print(f"## environment, {options.device}\n")
    environment()
    failed = [name for name, command in sections(options).items() if not run(name, command)]
    print(f"\nfailed: {', '.join(failed) or 'nothing'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
