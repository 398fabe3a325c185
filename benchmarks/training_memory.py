"""Memory of training beside what `equipot train --dry-run` expects, for some models.

    python benchmarks/training_memory.py --data rmd17_aspirin_train_01.npz --units kcal/mol

Each run is a process of its own, whose largest resident size the system tells when it ends. What
the program and its libraries take is measured by the same run on the smallest model that there is,
with batches of one.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LARGE = {"num_scalars": 128, "num_tensors": 32, "latent_mlp": [128], "two_body_mlp": [128]}
MODELS = {
    "Allegro, defaults, batch 10": ({"architecture": "allegro"}, 10),
    "Allegro, defaults, batch 40": ({"architecture": "allegro"}, 40),
    "Allegro, 128 scalars, 32 tensors, batch 10": ({"architecture": "allegro", **LARGE}, 10),
    "Equiformer, 2 blocks, batch 4": ({"architecture": "equiformer", "num_blocks": 2}, 4),
}
NOTHING = {
    "architecture": "allegro",
    "l_max": 0,
    "num_layers": 1,
    "num_scalars": 1,
    "num_tensors": 1,
    "cutoff": 2.0,
}


def config(options: argparse.Namespace, model: dict[str, object], batch_size: int) -> str:
    units = f", units: {{energy: {options.units}}}" if options.units else ""
    return (
        f"data: {{train: {{path: {options.data.absolute()}, index: ':90'{units}}}, split: {{validation: 10}}}}\n"
        f"model: {model}\nbatch_size: {batch_size}\nepochs: 2\nthreads: 1\ndevice: cpu\n"
    )


def equipot(*arguments: object) -> tuple[str, float]:
    """Output and largest resident size, MiB, of a run of the command."""
    command = [sys.executable, "-m", "app.cli.main", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return output, usage.ru_maxrss / 1024


def train(folder: Path, name: str, text: str) -> tuple[float, float]:
    """Expected and measured MiB."""
    path = folder / f"{name}.yaml"
    path.write_text(text)
    expected = re.search(r"memory: about (\d+) MiB", equipot("train", path, "--dry-run")[0])
    assert expected is not None
    return float(expected[1]), equipot("train", path, "--run", folder / name)[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="at least 90 labelled frames")
    parser.add_argument("--units", help="of energies in an npz, such as kcal/mol")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _, program = train(Path(folder), "nothing", config(options, NOTHING, 1))
        print(f"the program: {program:.0f} MiB")
        print("| model | expected, MiB | measured, MiB | ratio |")
        print("|---|---|---|---|")
        for number, (name, (model, batch_size)) in enumerate(MODELS.items()):
            expected, peak = train(Path(folder), str(number), config(options, model, batch_size))
            ratio = expected / (peak - program)
            print(f"| {name} | {expected:.0f} | {peak - program:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
