"""Warnings: what is answered with a doubt says which, by a code that programs know."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Code: TypeAlias = Literal[
    "hydrogens_missing",
    "flat_sketch",
    "alternate_location_dropped",
    "not_utf8",
    "isotope_ignored",
    "unclear_words",
    "symmetry_not_stated",
    "odd_electrons",
    "out_of_domain",
    "bonds_changed",
    "imaginary_frequencies",
    "uneven_forces",
    "mechanically_unstable",
    "points_missing",
    "separate_molecules",
    "cold_rotor",
    "supercell_narrow",
    "doubtful_parts",
    "differences_missing",
    "doubtful_fit",
    "dynamics_stopped",
    "energy_drift",
    "timestep_long",
    "path_not_converged",
    "path_without_barrier",
    "path_has_minimum",
    "stereo_chosen",
    "not_cleaned",
    "fragments_placed",
    "conformers_missing",
    "conformers_left_out",
]

CODES: dict[Code, str] = {
    "hydrogens_missing": "a molecule of carbon whose atoms have fewer bonds than they need: its "
    "hydrogens were probably left out",
    "flat_sketch": "all atoms lie in one plane in which their bonds do not: a drawing, no geometry",
    "alternate_location_dropped": "of an atom with several places, the likeliest was taken",
    "not_utf8": "a name or a remark of a file holds bytes that are not UTF-8, which were read as "
    "Windows-1252; nothing is computed from them",
    "isotope_ignored": "an isotope is computed as its element; energies and forces do not depend "
    "on masses",
    "unclear_words": "words of a file may state a charge or a spin, are not clear enough to be taken, "
    "and were not",
    "symmetry_not_stated": "a CIF states neither a space group nor symmetry operations, and P 1 was assumed",
    "odd_electrons": "a molecule with an odd number of electrons, of which the model knows nothing, "
    "was answered because the request wants it",
    "out_of_domain": "something of the structure, which the message names, was in no structure that "
    "the model was trained on; models whose card has neither `trained_on` nor `uncertainty` cannot "
    "tell",
    "bonds_changed": "bonds broke or formed while the structure was relaxed, or at points of a scan",
    "imaginary_frequencies": "the structure of a task is no minimum along some modes, which are left "
    "out of its thermochemistry; of a crystal, in a cell that holds them",
    "uneven_forces": "forces of the model change so unevenly around a minimum that a Hessian from them "
    "is rough",
    "mechanically_unstable": "a crystal whose elastic tensor says that some strain lowers its energy",
    "points_missing": "a profile has points whose relaxation did not converge, and no energies there",
    "separate_molecules": "several molecules are taken as one rigid rotor of an ideal gas: its G is that "
    "of a complex; or the parts at the end of a path are beyond the cutoff of the model, so that their places "
    "are arbitrary",
    "cold_rotor": "the temperature of a gas is so low that its rotations are not classical",
    "supercell_narrow": "the supercell of phonons is narrower than twice the cutoff of the model, so that "
    "atoms and their images are told as one",
    "doubtful_parts": "parts of a difference of energies have warnings, which are theirs in `parts`",
    "differences_missing": "differences that have no value, since a part of them has no energy",
    "doubtful_fit": "an equation of state fits the energies of a crystal badly, or has a B0′ that no "
    "crystal has",
    "dynamics_stopped": "replicas of dynamics ended before their last step, for the reason that is told",
    "energy_drift": "dynamics that are to keep their energy do not",
    "timestep_long": "the time step of dynamics is too long for the vibrations of hydrogen",
    "path_not_converged": "a path between two minima did not converge, and has no barrier",
    "path_without_barrier": "no image of a path is higher than both of its ends",
    "path_has_minimum": "a path has a minimum between its ends, and so several steps",
    "stereo_chosen": "a SMILES leaves the stereochemistry of an atom or a double bond open; the "
    "geometry has one of the forms",
    "not_cleaned": "MMFF94 has no parameters for the molecule of a SMILES; its geometry is that of "
    "ETKDGv3, not cleaned",
    "fragments_placed": "a SMILES of several fragments does not say where they are; they were put "
    "beside each other",
    "conformers_missing": "fewer conformers of a molecule could be made than were asked for",
    "conformers_left_out": "geometries that were made as conformers are none: their relaxation did not "
    "converge, or changed bonds, a stereocentre or a double bond",
}
"""What each code means; `docs/warnings.md` shows the same."""


@dataclass(frozen=True, slots=True)
class AnswerWarning:
    """A doubt about the answer for one structure.

    Attributes:
        code: one of `CODES`.
        message: what it is about, with atoms, values and a remedy.
    """

    code: Code
    message: str

    def as_json(self) -> dict[str, str]:
        """`{"code", "message"}`."""
        return {"code": self.code, "message": self.message}
