"""What `energies-of` is asked for."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.formats.notation import LARGEST_SEED
from app.tasks.kind import TaskLimits, TaskOptions

Atoms = Annotated[tuple[int, ...], Field(min_length=1, strict=False)]
Bond = Annotated[tuple[int, int], Field(strict=False)]
KINDS = Literal[
    "interaction", "deformation", "strain", "tautomers", "protomers", "bond_dissociation"
]
OWN = {
    "fragments": ("interaction",),
    "charges": ("interaction",),
    "relax": ("interaction",),
    "hydrogens": ("strain", "deformation"),
    "conformers": ("strain", "tautomers", "protomers"),
    "random_seed": ("strain", "tautomers", "protomers"),
    "most": ("tautomers", "protomers", "bond_dissociation"),
    "protons": ("protomers",),
    "bonds": ("bond_dissociation",),
    "cleavage": ("bond_dissociation",),
}
"""Which of the differences an option is of."""


class EnergiesOfOptions(TaskOptions):
    """Relax the parts of a named difference of energies: interaction, deformation, strain, tautomers,
    protomers or bond dissociation.
    """

    fmax_eV_per_A: float = Field(
        default=0.01,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; a relaxation is converged when no force is longer",
    )
    difference: KINDS = Field(description="which of them")
    fragments: Annotated[tuple[Atoms, ...], Field(min_length=2, strict=False)] | None = Field(
        default=None,
        description="of `interaction`: the atoms of each part, by their numbers from 0; molecules "
        "that no bond joins where not stated",
    )
    charges: Annotated[tuple[int, ...], Field(min_length=2, strict=False)] | None = Field(
        default=None,
        description="of `interaction`: charge of each part; 0 where not stated and the whole has none",
    )
    relax: bool = Field(
        default=True,
        description="of `interaction`: whether the complex comes to rest first; else it is taken as "
        "it is",
    )
    hydrogens: bool = Field(
        default=False,
        description="of `strain` and `deformation`: whether hydrogens come to rest first while all "
        "else stays, as of geometries by X-rays",
    )
    conformers: int = Field(
        default=20,
        ge=1,
        description="geometries that are made: of the molecule (`strain`), or of each form",
    )
    random_seed: int = Field(
        default=1, ge=1, le=LARGEST_SEED, description="of their random numbers"
    )
    most: int = Field(default=20, ge=1, le=200, description="forms, or bonds, that are looked at")
    protons: Literal[1, -1] = Field(
        default=1, description="of `protomers`: 1 adds one, −1 takes one away"
    )
    bonds: Annotated[tuple[Bond, ...], Field(min_length=1, strict=False)] | None = Field(
        default=None,
        description="of `bond_dissociation`: pairs of atoms by their numbers; all single bonds outside "
        "of rings where not stated, of those that are alike one",
    )
    cleavage: Literal["homolytic", "heterolytic"] = Field(
        default="homolytic",
        description="of `bond_dissociation`: into radicals, or into ions",
    )

    @model_validator(mode="after")
    def _are_of_the_difference(self) -> Self:
        for name in self.model_fields_set & OWN.keys():
            if self.difference not in OWN[name]:
                of = " and ".join(OWN[name])
                raise ValueError(f"{name}: is of {of}, and {self.difference} is asked for")
        pairs = [frozenset(bond) for bond in self.bonds or ()]
        for number, pair in enumerate(pairs):
            if (first := pairs.index(pair)) < number:
                raise ValueError(f"bonds.{number}: is bonds.{first} again; state each bond once")
        return self

    def bounded(self, limits: TaskLimits) -> Self:
        """See `TaskOptions`."""
        within = super().bounded(limits)
        return within._within("conformers", limits.conformers, "max_conformers")
