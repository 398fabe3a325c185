"""ModelRef: which model answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model answered.

    Attributes:
        name: of the model.
        version: of the model.
        digest: sha256 of its card, which holds those of all its files.
    """

    name: str
    version: int
    digest: str

    @classmethod
    def of(cls, reference: str, digest: str) -> "ModelRef":
        """That of `name@version`."""
        name, _, version = reference.partition("@")
        return cls(name, int(version), digest)

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"
