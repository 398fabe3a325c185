"""What an environment is made of, as a software bill of materials: CycloneDX 1.6, JSON.

    python docker/materials.py > materials.json

Licences are those that each package states of itself, as SPDX expressions where they can be told.
The scripts of others in the page are told by the table of their folder.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from importlib.resources import files
from typing import Any

from packaging.requirements import Requirement

SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX's names of what packages call their licences otherwise."""
UNSTATED = {"ase-db-backends": "LGPL-2.1-or-later"}
"""Licences that only a file of the package states."""
VENDORED = re.compile(
    r"\| `[^`]+` \| `(?P<name>[^`]+)`[^|]*\| (?P<version>\S+) \| (?P<licence>\S+) \|"
)
"""A line of the table of vendored scripts: folder, package, version, licence."""
LONGEST = 60
"""Characters of a licence's name; what is longer is its text."""


def main() -> None:
    """Print the bill of the environment that this runs in."""
    table = files("app.page").joinpath("vendor/README.md").read_text(encoding="utf-8")
    json.dump(bill(distributions(), scripts(table)), sys.stdout, indent=2)
    print()


def scripts(table: str) -> list[dict[str, Any]]:
    """Components of the page's scripts, packages of npm, from the table that lists them."""
    found = []
    for line in VENDORED.finditer(table):
        ref = f"pkg:npm/{line['name']}@{line['version']}"
        about = {"type": "library", "bom-ref": ref, "name": line["name"], "purl": ref}
        stated = [{"expression": line["licence"]}]
        found.append({**about, "version": line["version"], "licenses": stated})
    return found


def bill(packages: Iterable[Distribution], more: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The bill of materials of some packages, and more components that need nothing."""
    known = {canonical(package.name): package for package in packages}
    refs = {name: f"pkg:pypi/{name}@{package.version}" for name, package in sorted(known.items())}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [*(_component(known[name], ref) for name, ref in refs.items()), *more],
        "dependencies": [
            {
                "ref": ref,
                "dependsOn": sorted({refs[n] for n in needed(known[name]) if n in refs} - {ref}),
            }
            for name, ref in refs.items()
        ],
    }


def closure(name: str, extras: Sequence[str]) -> dict[str, Distribution]:
    """What of a package and all that it needs is installed, by name."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(name, tuple(extras))], set[tuple[str, tuple[str, ...]]]()
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            package = distribution(wanted[0])
        except PackageNotFoundError:
            continue
        found[canonical(package.name)] = package
        waiting += [(r.name, tuple(sorted(r.extras))) for r in _required(package, wanted[1])]
    return found


def needed(package: Distribution) -> list[str]:
    """Names of what a package needs without extras."""
    return [canonical(requirement.name) for requirement in _required(package, ())]


def licence(package: Distribution) -> str:
    """What a package says of its licence; empty where it says nothing."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    if (name := canonical(package.name)) in UNSTATED:
        return UNSTATED[name]
    kinds = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if "Licen" in c]
    if kinds:
        return " AND ".join(SPDX.get(kind, kind) for kind in sorted(kinds))
    text = (metadata.get("License") or "").strip()
    return SPDX.get(text, text) if len(text) <= LONGEST else ""


def canonical(name: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(package: Distribution, extras: Sequence[str]) -> Iterator[Requirement]:
    for text in package.requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _component(package: Distribution, ref: str) -> dict[str, Any]:
    about = {
        "type": "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": ref,
    }
    if not (stated := licence(package)):
        return about
    named = {"license": {"name": stated}}
    is_spdx = re.fullmatch(r"[A-Za-z0-9.+()-]+( (AND|OR|WITH) [A-Za-z0-9.+()-]+)*", stated)
    return {**about, "licenses": [{"expression": stated} if is_spdx else named]}


if __name__ == "__main__":
    main()
