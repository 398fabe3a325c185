"""All measurements of a model, one after the other, and one file with their tables.

    python -m recipes.measures.all --molecules MiniDrugBank.sdf --databases FOLDER --held-out test.xyz \\
        --cache FOLDER --output FOLDER --model NAME [--full] [--only conformers torsions]

`all.md` in the folder has the command, the tables and the processor time of each; `NAME.json` beside it
what each has written. References are those that the cache has (`recipes.measures.references`). Without
`--full`, sizes are those that take minutes. One that fails says so in the file; the others go on.
"""

import argparse
import json
import resource
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SHORT = {
    "mini_drug_bank": ("--count", "60"),
    "conformers": ("--count", "20"),
    "torsions": (),
    "complexes": (),
    "protonation": (),
    "short_range": ("--optimizers", "lbfgs"),
    "domain": ("--frames", "500"),
    "dynamics": ("--heating", "0.5", "--picoseconds", "1"),
    "throughput": ("--count", "32", "--relaxed", "8", "--repeats", "3"),
    "uncertainty_cost": ("--count", "32"),
}
"""What each gets without `--full`."""
TAKES = {
    "held_out": (),
    "mini_drug_bank": ("molecules", "cache"),
    "conformers": ("molecules", "cache"),
    "torsions": ("molecules", "cache"),
    "complexes": ("databases",),
    "protonation": ("cache",),
    "short_range": (),
    "domain": ("molecules", "databases", "held_out"),
    "dynamics": ("molecules",),
    "throughput": ("molecules",),
    "uncertainty_cost": ("molecules",),
}
"""Which of the files and folders each is given."""
TEMPERATURES = ("300", "500")


def main() -> None:
    """Run them and write the tables."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    parts = []
    for name in options.only:
        for folder, arguments in commands(name, options):
            parts.append(measured(name, folder, arguments))
            (options.output / "all.md").write_text("\n\n".join(parts) + "\n")
            print(parts[-1], end="\n\n", flush=True)


def commands(name: str, options: argparse.Namespace) -> list[tuple[Path, list[str]]]:
    """Output folders and arguments of a measurement; of dynamics, one for each temperature."""
    paths = [[f"--{key.replace('_', '-')}", str(getattr(options, key))] for key in TAKES[name]]
    given = [word for pair in paths for word in pair]
    if name == "held_out":
        given = [str(options.held_out), "--by", "kind"]
    given += () if options.full else SHORT.get(name, ())
    given += ["--model", options.model, "--threads", str(options.threads)]
    if options.model_store:
        given += ["--model-store", str(options.model_store)]
    if name != "dynamics":
        return [(options.output, given)]
    folders = [options.output / f"dynamics-{kelvin}" for kelvin in TEMPERATURES]
    return [
        (folder, [*given, "--temperature", kelvin, "--run", str(folder / "run")])
        for kelvin, folder in zip(TEMPERATURES, folders, strict=True)
    ]


def measured(name: str, folder: Path, arguments: Sequence[str]) -> str:
    """The tables of one, in markdown, with the command and the processor time that it took."""
    command = ["-m", f"recipes.measures.{name}", *arguments, "--output", str(folder)]
    before = _processor_seconds()
    done = subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=False)
    seconds = _processor_seconds() - before
    text = f"## {name}\n\n```\n{shlex.join(['python', *command])}\n```\n\n"
    if done.returncode:
        return f"{text}It failed: status {done.returncode}."
    found = json.loads((folder / f"{name}.json").read_text())
    return f"{text}{found['tables']}\n\n`{found['model']}`, {seconds:.0f} s of processor time."


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--molecules", type=Path, required=True, help="SDF file")
    add("--databases", type=Path, required=True, help="folder of Psi4's databases")
    add("--held-out", type=Path, required=True, help="labelled test frames")
    add("--cache", type=Path, required=True, help="folder of the references")
    add("--output", type=Path, required=True, help="folder of what is measured")
    add("--model", required=True, help="`name` or `name@version`")
    add("--model-store", type=Path, help="folder of the models")
    add("--threads", type=int, default=1, help="numerics threads (%(default)s)")
    add("--full", action="store_true", help="sizes that take hours")
    add("--only", nargs="+", choices=TAKES, default=list(TAKES), metavar="NAME", help="some")
    return parser.parse_args()


if __name__ == "__main__":
    main()
