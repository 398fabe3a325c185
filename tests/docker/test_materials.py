"""Licences of what is installed, and the bill of materials."""

import re
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from docker.materials import bill, canonical, closure, licence, scripts
from tests.paths import ROOT

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC"),
    *("LLVM-exception", "MIT", "MIT-0", "MIT-CMU", "OLDAP-2.8", "PSF-2.0", "Zlib"),
    # of libraries that are used as they are: ASE and its databases; psycopg; orjson and tqdm
    *("LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"),
}
EXTRAS = ("serve", "postgres", "cpu", "gpu", "train", "lmdb", "cluster")


def test_all_that_is_needed_may_be_used_and_passed_on() -> None:
    needed = closure("equipot", EXTRAS)
    assert {"numpy", "ase", "fastapi", "onnxruntime", "torch"} <= needed.keys()
    refused = {
        name: stated
        for name, package in needed.items()
        if not (
            terms := set(re.findall(r"[\w.-]+", stated := licence(package))) - {"AND", "OR", "WITH"}
        )
        or not terms <= ALLOWED
    }
    assert refused == {}


def package(folder: Path, name: str, **fields: str) -> Distribution:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    lines = [f"{key.replace('_', '-')}: {value}" for key, value in fields.items()]
    (info / "METADATA").write_text("\n".join([f"Name: {name}", "Version: 1.0", *lines]))
    return PathDistribution(info)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License_Expression": "MIT OR ISC", "License": "other"}, "MIT OR ISC"),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "BSD-3-Clause"),
        ({"License": "3-Clause BSD License"}, "BSD-3-Clause"),
        ({"License": "Copyright (c) somebody " + "x" * 100}, ""),
        ({}, ""),
    ],
)
def test_a_licence_is_what_the_package_states(
    tmp_path: Path, fields: dict[str, str], expected: str
) -> None:
    assert licence(package(tmp_path, "one", **fields)) == expected


def test_the_bill_has_versions_licences_and_who_needs_whom(tmp_path: Path) -> None:
    needs = package(
        tmp_path, "Needs_It", License_Expression="MIT", Requires_Dist="other.one>=1; extra != 'x'"
    )
    other = package(tmp_path, "Other.One", License="Proprietary, see there")
    made = bill([other, needs])
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    first, second = made["components"]
    assert first["purl"] == "pkg:pypi/needs-it@1.0"
    assert first["licenses"] == [{"expression": "MIT"}]
    assert second["licenses"] == [{"license": {"name": "Proprietary, see there"}}]
    assert made["dependencies"] == [
        {"ref": "pkg:pypi/needs-it@1.0", "dependsOn": ["pkg:pypi/other-one@1.0"]},
        {"ref": "pkg:pypi/other-one@1.0", "dependsOn": []},
    ]
    assert canonical("Other.One") == "other-one"


def test_the_scripts_of_the_page_are_in_the_bill() -> None:
    vendor = ROOT / "app" / "page" / "vendor"
    found = scripts((vendor / "README.md").read_text(encoding="utf-8"))
    folders = [path for path in vendor.iterdir() if path.is_dir()]
    assert {script["name"] for script in found} == {folder.name for folder in folders}
    assert {s["licenses"][0]["expression"] for s in found} <= ALLOWED
    assert found[0]["purl"] == f"pkg:npm/3dmol@{found[0]['version']}"
    assert bill([], found)["components"] == found
