"""What stands in the blocks of the pages can be typed: each command is held against what there is.

Those that can run here do so in `test_examples.py`; of all others, the words are checked.
"""

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from app.cli.main import parser_of
from tests.docs.blocks import BLOCKS, COMMANDS, Command
from tests.paths import ROOT

LANGUAGES = {"sh", "python", "json", "yaml", "xml", "text"}
SCRIPTS = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("benchmarks", "recipes", "tests/soak")
    for path in sorted((ROOT / folder).rglob("*.py"))
)
OTHERS = {
    **dict.fromkeys(("cat", "export", "printf", "rm", "tar", "tee"), "of the shell"),
    **dict.fromkeys(("apt-get", "debootstrap", "buildah", "podman"), "need root, and a network"),
    "i-pi": "another package's",
}
"""Programs whose words are not checked, and why."""


def equipot(words: list[str]) -> None:
    """Its own parser takes them, and what lies in the project is there."""
    try:
        parser_of(words[0]).parse_args(words)
    except SystemExit:
        raise AssertionError(f"equipot {shlex.join(words)} is wrong usage") from None
    assert [word for word in words if _is_missing(word)] == []


def python(words: list[str]) -> None:
    """The module or file is there, and a program of the project has such options."""
    if words[0] == "-c":
        compile(words[1], "-c", "exec")
        return
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None
    else:
        assert (ROOT / words[0]).is_file()
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if f'"{option}"' not in SCRIPTS] == []


def pip(words: list[str]) -> None:
    """Extras of our distributions are there, and so are files of requirements."""
    for name, extras in re.findall(r"(\.|client|equipot[\w-]*)\[([\w,]+)\]", " ".join(words)):
        folder = ROOT / ("client" if "client" in name else ".")
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    assert [word for word in words if _is_missing(word)] == []


def curl(words: list[str]) -> None:
    """It asks the service, of which `test_examples.py` tells whether it answers."""
    assert any(word.startswith("localhost:8000/") for word in words)


def make(words: list[str]) -> None:
    """There is such a target."""
    targets = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets)


def docker(words: list[str]) -> None:
    """Its files are there."""
    assert [word for word in words if _is_missing(word)] == []


def kubectl(words: list[str]) -> None:
    """Its folder is there."""
    docker(words)


def torchrun(words: list[str]) -> None:
    """What it starts can be started."""
    check(words[words.index("--") + 1 :])


CHECKS: dict[str, Callable[[list[str]], None]] = {
    check.__name__: check for check in (equipot, python, pip, curl, make, docker, kubectl, torchrun)
}


def check(words: list[str]) -> None:
    """A program that is known, with words that it takes."""
    program, *rest = words
    if program not in OTHERS:
        CHECKS[Path(program).name](rest)


def _is_missing(word: str) -> bool:
    """Whether it names a file of a folder of the project that is not there."""
    folders = ("recipes/", "docker/", "docs/", "benchmarks/")
    return word.startswith(folders) and not Path(ROOT / word).exists()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_can_be_typed(command: Command) -> None:
    check(list(command.words))


@pytest.mark.parametrize(
    "line",
    [
        "equipot predict x.xyz --colour red",
        "equipot train recipes/none.yaml",
        "python -m recipes.measures.held_out x.xyz --colour red",
        "pip install 'equipot[colour]'",
        "make colour",
    ],
)
def test_a_wrong_one_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check(shlex.split(line))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 100
    assert {command.words[0] for command in COMMANDS} >= CHECKS.keys()
    assert {command.words[0] for command in COMMANDS} >= OTHERS.keys()


def test_each_block_says_its_language() -> None:
    assert {block.name: block.language for block in BLOCKS if block.language not in LANGUAGES} == {}


def test_python_json_and_yaml_can_be_read() -> None:
    """Of JSON, what leaves nothing out."""
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, block.name, "exec")
        elif block.language == "yaml":
            assert yaml.safe_load(block.text)
        elif block.language == "json" and "…" not in block.text:
            for line in [block.text] if "\n{" not in block.text else block.text.splitlines():
                json.loads(line)
