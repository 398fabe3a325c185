"""The parts of a QCSchema input that mean something here; unknown fields are refused by name."""

from typing import Any, Literal

from pydantic import Field

from app.backends.domain import OnOod
from app.protocol.wire import Wire

Driver = Literal["energy", "gradient", "hessian", "properties"]


class Molecule(Wire):
    """Atoms without a box. What does not change an energy is taken as it is."""

    symbols: list[str]
    geometry: list[Any] = Field(description="(3N) or (N, 3) bohr")
    molecular_charge: float = 0.0
    molecular_multiplicity: float | None = None
    real: list[bool] | None = Field(default=None, description="(N) whether it is no ghost")
    atomic_numbers: list[int] | None = None
    schema_name: Literal["qcschema_molecule", "qc_schema_molecule"] = "qcschema_molecule"
    schema_version: Literal[2, 3] = 2
    validated: bool = False
    name: str | None = None
    comment: str | None = None
    id: Any = None
    identifiers: Any = None
    masses: Any = None
    mass_numbers: Any = None
    atom_labels: Any = None
    connectivity: Any = None
    fragments: Any = None
    fragment_charges: list[float] | None = None
    fragment_multiplicities: Any = None
    fix_com: bool = False
    fix_orientation: bool = False
    fix_symmetry: str | None = None
    provenance: Any = None
    extras: Any = None


class Method(Wire):
    """Which model is to answer."""

    method: str = Field(description="`name` or `name@version`")
    basis: Any = Field(default=None, description="none: models have no basis sets")


class Keywords(Wire):
    """What may be asked of a model besides; as of the service's own requests."""

    strict: bool = False
    on_ood: OnOod = "warn"
    allow_odd_electrons: bool = False


class Protocols(Wire):
    """What is to be kept of a calculation; models have no wavefunction."""

    schema_name: Literal["qcschema_atomic_protocols"] = "qcschema_atomic_protocols"
    wavefunction: Literal["none"] = "none"
    stdout: bool = True
    error_correction: Any = None
    native_files: Any = None


class Specification(Wire):
    """What is to be computed."""

    schema_name: Literal["qcschema_atomic_specification"] = "qcschema_atomic_specification"
    program: str = ""
    driver: Driver
    model: Method
    keywords: Keywords = Keywords()
    protocols: Protocols = Protocols()
    extras: dict[str, Any] | None = None


class InputV1(Wire):
    """An AtomicInput of version 1."""

    id: str | None = None
    schema_name: Literal["qcschema_input", "qc_schema_input"]
    schema_version: Literal[1] = 1
    molecule: Molecule
    driver: Driver
    model: Method
    keywords: Keywords = Keywords()
    protocols: Protocols = Protocols()
    extras: dict[str, Any] | None = None
    provenance: Any = None

    @property
    def specification(self) -> Specification:
        """What is to be computed."""
        return Specification(
            driver=self.driver,
            model=self.model,
            keywords=self.keywords,
            protocols=self.protocols,
        )


class InputV2(Wire):
    """An AtomicInput of version 2."""

    id: str | None = None
    schema_name: Literal["qcschema_atomic_input"]
    schema_version: Literal[2] = 2
    molecule: Molecule
    specification: Specification
    provenance: Any = None


INPUTS: dict[str, type[InputV1 | InputV2]] = {
    "qcschema_input": InputV1,
    "qc_schema_input": InputV1,
    "qcschema_atomic_input": InputV2,
}
"""By `schema_name`."""
