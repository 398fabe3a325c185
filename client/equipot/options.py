"""What can be asked, by name, as it stands in bodies and in queries."""

import json
from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class RelaxOptions(TypedDict, total=False):
    """How to relax; what is left out is as the service has it.

    Attributes:
        fmax: eV/Å; converged when no atom's force is longer.
        steps: the most steps.
        optimizer: `auto` takes the one of the next two that suits the structure; `lbfgs` and `fire` are
            in ASE's variants.
        cell: what of a cell may change.
        fixed_axes: lattice vectors that stay as they are.
        pressure: eV/Å³ that the cell relaxes under.
        smax: eV/Å³ that is left of its stress, in place of `fmax`.
    """

    fmax: float
    steps: int
    optimizer: Literal["auto", "internal", "scaled-lbfgs", "lbfgs", "fire"]
    cell: bool | Literal["full", "isotropic", "lengths"]
    fixed_axes: list[Literal["a", "b", "c"]]
    pressure: float
    smax: float


class AskOptions(TypedDict, total=False):
    """By which model structures are answered, and how.

    Attributes:
        model: `name` or `name@version`; the service's default where not given, or of several defaults
            the one that is made for each structure.
        strict: whether a warning is an error.
        on_ood: what becomes of what the model's training data never held.
        allow_odd_electrons: whether models of closed shells answer for radicals, with a warning.
    """

    model: str
    strict: bool
    on_ood: Literal["warn", "error"]
    allow_odd_electrons: bool


class PredictOptions(AskOptions, total=False):
    """What is asked of all structures.

    Attributes:
        properties: some of `energy`, `forces`, `stress`, `energies`.
    """

    properties: list[Literal["energy", "forces", "stress", "energies"]]


class AllOptions(PredictOptions, total=False):
    """What is asked of all structures, and how they are relaxed.

    Attributes:
        relax: true takes the service's defaults.
    """

    relax: bool | RelaxOptions


class RelaxCall(PredictOptions, RelaxOptions, total=False):
    """What is asked of all structures, and how they are relaxed, side by side."""


class TaskOptions(TypedDict, total=False):
    """What all tasks have: how structures are relaxed first.

    Attributes:
        fmax_eV_per_A: eV/Å; a relaxation is converged when no force is longer.
        max_steps: of a relaxation.
    """

    fmax_eV_per_A: float
    max_steps: int


class ThermoOptions(TaskOptions, total=False):
    """What `thermo` is asked for.

    Attributes:
        temperature_K: K.
        pressure_Pa: Pa, of an ideal gas.
        treatment: as which structures are treated.
        symmetry_number: found where it is not stated.
        symmetry_tolerance_A: Å by which atoms may miss each other's places when it is found.
        low_modes: what the entropy of low modes is taken from.
        rotor_cutoff_per_cm: cm⁻¹, where a mode is half a rotor.
        displacement_A: Å by which atoms are moved for the Hessian.
        normal_modes: whether the modes' shapes are told.
        hessian: whether the Hessian is told.
    """

    temperature_K: float
    pressure_Pa: float
    treatment: Literal["auto", "ideal_gas", "harmonic"]
    symmetry_number: int
    symmetry_tolerance_A: float
    low_modes: Literal["harmonic", "quasi_rrho"]
    rotor_cutoff_per_cm: float
    displacement_A: float
    normal_modes: bool
    hessian: bool


class ConformersOptions(TaskOptions, total=False):
    """What `conformers` is asked for.

    Attributes:
        count: geometries that are made, besides the given one.
        random_seed: of their random numbers.
        window_eV: eV above the lowest one; those beyond are not told.
        keep: most that are told.
        temperature_K: K, of their weights.
        same_energy_eV: eV by which two that are the same may differ.
        same_rmsd_A: Å, the same of their atoms.
    """

    count: int
    random_seed: int
    window_eV: float
    keep: int
    temperature_K: float
    same_energy_eV: float
    same_rmsd_A: float


class ConformersCall(AskOptions, ConformersOptions, total=False):
    """What is asked of `conformers`, and by which model it is answered, side by side."""


class ScanOptions(TaskOptions, total=False):
    """What `scan` is asked for.

    Attributes:
        atoms: two of a distance, three of an angle, four of a dihedral angle, by their numbers.
        range_deg: degrees, the first and the last value of an angle.
        range_A: Å, the same of a distance.
        points: values, at even steps.
    """

    atoms: list[int]
    range_deg: tuple[float, float]
    range_A: tuple[float, float]
    points: int


class ScanCall(AskOptions, ScanOptions, total=False):
    """What is asked of `scan`, and by which model it is answered, side by side."""


class EnergiesOfOptions(TaskOptions, total=False):
    """What `energies-of` is asked for.

    Attributes:
        difference: which of them.
        fragments: atoms of each part of a complex.
        charges: of these parts.
        relax: whether the complex comes to rest first.
        hydrogens: whether hydrogens come to rest first, while all else stays.
        conformers: geometries of the molecule, or of each form.
        random_seed: of their random numbers.
        most: forms, or bonds, that are looked at.
        protons: 1 adds one, −1 takes one away.
        bonds: pairs of atoms; all single ones outside of rings where not stated.
        cleavage: into radicals, or into ions.
    """

    difference: Literal[
        "interaction", "deformation", "strain", "tautomers", "protomers", "bond_dissociation"
    ]
    fragments: list[list[int]]
    charges: list[int]
    relax: bool
    hydrogens: bool
    conformers: int
    random_seed: int
    most: int
    protons: Literal[1, -1]
    bonds: list[tuple[int, int]]
    cleavage: Literal["homolytic", "heterolytic"]


class EnergiesOfCall(AskOptions, EnergiesOfOptions, total=False):
    """What is asked of `energies-of`, and by which model it is answered, side by side."""


class EosOptions(TaskOptions, total=False):
    """What `eos` is asked for.

    Attributes:
        cell: what of the cell is relaxed first.
        smax_GPa: GPa; the cell is at rest when no component of its stress is larger.
        form: equation that is fitted.
        points: volumes.
        volume_range: largest change of the volume, either way, over that at rest.
        relax_ions: whether atoms come to rest at each volume.
    """

    cell: Literal["full", "isotropic", "fixed"]
    smax_GPa: float
    form: Literal["birch_murnaghan", "vinet", "murnaghan"]
    points: int
    volume_range: float
    relax_ions: bool


class EosCall(AskOptions, EosOptions, total=False):
    """What is asked of `eos`, and by which model it is answered, side by side."""


class ElasticOptions(TaskOptions, total=False):
    """What `elastic` is asked for.

    Attributes:
        cell: what of the cell is relaxed first.
        smax_GPa: GPa; the cell is at rest when no component of its stress is larger.
        strain: largest strain, either way.
        relax_ions: whether atoms come to rest under strain.
    """

    cell: Literal["full", "isotropic", "fixed"]
    smax_GPa: float
    strain: float
    relax_ions: bool


class PhononsOptions(TaskOptions, total=False):
    """What `phonons` is asked for.

    Attributes:
        cell: what of the cell is relaxed first.
        smax_GPa: GPa; the cell is at rest when no component of its stress is larger.
        supercell_length_A: Å; the supercell is nowhere narrower.
        supercell: how often each lattice vector is repeated, in the place of that.
        displacement_A: Å by which atoms are moved.
        symmetry_tolerance_A: Å by which atoms may miss each other's places in a symmetry.
        mesh_length_A: Å; a lattice vector of a Å has this over a points in the mesh of sums.
        band_points: between two special points of the path.
        temperature_max_K: K, the highest.
        temperature_step_K: K, from 0 on.
        force_constants: whether these are told.
    """

    cell: Literal["full", "isotropic", "fixed"]
    smax_GPa: float
    supercell_length_A: float
    supercell: tuple[int, int, int]
    displacement_A: float
    symmetry_tolerance_A: float
    mesh_length_A: float
    band_points: int
    temperature_max_K: float
    temperature_step_K: float
    force_constants: bool


class PhononsCall(AskOptions, PhononsOptions, total=False):
    """What is asked of `phonons`, and by which model it is answered, side by side."""


class ElasticCall(AskOptions, ElasticOptions, total=False):
    """What is asked of `elastic`, and by which model it is answered, side by side."""


class MdOptions(TaskOptions, total=False):
    """What `md` is asked for.

    Attributes:
        ensemble: `nvt` in a heat bath, `nve` with the energy kept, `npt` in a heat bath under a pressure.
        temperatures_K: K; each has replicas of its own.
        replicas: at each temperature.
        timestep_fs: fs.
        steps: of each replica.
        friction_per_ps: ps⁻¹, of `nvt` and `npt`.
        pressure_GPa: GPa, of `npt`.
        barostat_ps: ps, of `npt`: in which the cell forgets how it moved.
        random_seed: of the random numbers.
        save_every: steps between two frames that are told.
        trajectory: how frames are told.
        velocities: whether velocities of frames are told.
        bonds: whether a replica ends where a bond breaks.
        max_temperature_K: K, beyond which a replica has exploded.
        restart: states to go on from, each `last` of a replica of an earlier answer.
    """

    ensemble: Literal["nvt", "nve", "npt"]
    temperatures_K: float | list[float]
    replicas: int
    timestep_fs: float
    steps: int
    friction_per_ps: float
    pressure_GPa: float
    barostat_ps: float
    random_seed: int
    save_every: int
    trajectory: Literal["extxyz", "arrays", "none"]
    velocities: bool
    bonds: Literal["stop", "ignore"]
    max_temperature_K: float
    restart: list[Mapping[str, Any]]


class MdCall(AskOptions, MdOptions, total=False):
    """What is asked of `md`, and by which model it is answered, side by side."""


class NebOptions(TaskOptions, total=False):
    """What `neb` is asked for.

    Attributes:
        ends: where paths end, ASE's atoms or fields with `symbols` and `positions`; of the same atoms in
            the same order.
        images: of a path, between its ends.
        path_fmax_eV_per_A: eV/Å; a path is converged when no force across it is longer.
        path_steps: most steps of a path.
        climb: whether the highest image climbs to the saddle point.
        spring_eV_per_A2: eV/Å², between images.
    """

    ends: Any
    images: int
    path_fmax_eV_per_A: float
    path_steps: int
    climb: bool
    spring_eV_per_A2: float


class NebCall(AskOptions, NebOptions, total=False):
    """What is asked of `neb`, and by which model it is answered, side by side."""


class ThermoCall(AskOptions, ThermoOptions, total=False):
    """What is asked of `thermo`, and by which model it is answered, side by side."""


def query_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as parameters of a query."""
    fields = {name: value for name, value in options.items() if value is not None}
    relax = fields.pop("relax", False)
    if isinstance(relax, Mapping):
        fields |= {"relax": True, **relax}
    elif relax:
        fields["relax"] = True
    fields |= fields.pop("options", {})
    return {name: _word(value) for name, value in fields.items()}


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, list | tuple):
        return str(value)
    if any(isinstance(each, Mapping | list | tuple) for each in value):
        return json.dumps(value)
    return ",".join(map(str, value))
