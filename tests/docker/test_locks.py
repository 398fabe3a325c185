"""The locks of the images have all that is asked for, in exact versions with hashes, and the images
install nothing else.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CLIENT = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]
KERNEL = tomllib.loads((ROOT / "kernel" / "pyproject.toml").read_text())
LOCKS = {
    "cpu": ("serve", "postgres", "cpu", "kernel"),
    "gpu": ("serve", "postgres", "gpu"),
    "cluster": ("serve", "cpu", "kernel", "cluster", "parquet", "molecules"),
    "trainer": ("train", "cpu"),
    "tables": (),
    "build": (),
}
ENTRY = re.compile(
    r"([a-z0-9._-]+==\S+(?: ; [^\\]+)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)


def lock(name: str) -> str:
    return (ROOT / "docker" / f"requirements-{name}.lock").read_text()


def locked(name: str) -> list[Requirement]:
    return [Requirement(entry) for entry, _ in ENTRY.findall(lock(name))]


def asked(name: str, extras: tuple[str, ...]) -> list[Requirement]:
    if name == "tables":
        return recipe_asks("tables.txt")
    if not extras:
        requires = [project["build-system"]["requires"] for project in (PROJECT, KERNEL)]
        return [Requirement(text) for texts in requires for text in texts]
    project = PROJECT["project"]
    optional = [text for extra in extras for text in project["optional-dependencies"][extra]]
    texts = [Requirement(text) for text in (*project["dependencies"], *optional)]
    own = [CLIENT, KERNEL["project"]] if "kernel" in extras else [CLIENT]
    texts = [text for text in texts if text.name not in {each["name"] for each in own}]
    texts += [Requirement(text) for each in own for text in each["dependencies"]]
    return [*texts, *(recipe_asks("requirements.txt") if name == "trainer" else ())]


def recipe_asks(name: str) -> list[Requirement]:
    lines = (ROOT / "recipes" / "organic-xtb" / name).read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("name", LOCKS)
def test_everything_has_hashes_and_comes_from_no_place_of_its_own(name: str) -> None:
    rest = ENTRY.sub("", lock(name))
    assert [line for line in rest.splitlines() if not line.startswith("#")] == []
    assert "://" not in lock(name)


@pytest.mark.parametrize(("name", "extras"), LOCKS.items())
def test_what_is_asked_for_is_in_it(name: str, extras: tuple[str, ...]) -> None:
    for requirement in asked(name, extras):
        entries = [r for r in locked(name) if r.name == canonicalize_name(requirement.name)]
        assert entries, requirement
        for entry in entries:
            (pin,) = entry.specifier
            assert requirement.specifier.contains(pin.version), (entry, requirement)


def test_the_service_is_tested_with_what_its_image_has() -> None:
    """Of the versions for this Python, none is older than the tested one's major version."""
    for entry in locked("cpu"):
        if entry.marker and not entry.marker.evaluate():
            continue
        (pin,) = entry.specifier
        try:
            installed = metadata.version(entry.name)
        except metadata.PackageNotFoundError:
            continue
        assert installed.split(".")[0] == pin.version.split(".")[0], (entry, installed)


@pytest.mark.parametrize(
    "path",
    ["Dockerfile", "docker/gpu.Dockerfile", "docker/ray.Dockerfile", "docker/trainer.Dockerfile"],
)
def test_images_install_from_locks_alone(path: str) -> None:
    commands = (ROOT / path).read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]*)", commands)
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install
    for copied in re.findall(r"docker/requirements-[a-z]+\.lock", commands):
        assert (ROOT / copied).is_file()


def test_an_image_is_made_of_files_that_are_sent_to_it() -> None:
    sent = Path(ROOT / ".dockerignore").read_text().splitlines()
    assert {"!client", "!docker/requirements-*.lock", "!docker/materials.py"} <= set(sent)
