"""A model as packages of AOTInductor, beside its ONNX files: compiled for the kind of processor
that this is.
"""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch._inductor import aoti_compile_and_package
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler

from app.backends.aoti import public_version
from app.errors import TrainingError
from app.store.card import ENERGY_PACKAGE, PACKAGE, Packages, member_files
from app.training.export.onnx import export_program, input_names, quiet
from app.training.models.network import Network

ARCHITECTURES = {"AVX2": "x86-64-v3", "AVX512": "x86-64-v4"}
"""What the compiler calls processors with these vector instructions."""
INDUCTOR: dict[str, Any] = {
    "freezing": True,
    "cpp.enable_floating_point_contract_flag": "fast",
    "cpp.threads": 1,  # the backend runs portions side by side
}
"""Weights folded and packed, fused multiply and add."""


def packages_for_here(model: Network) -> Packages:
    """What packages of a model would be compiled with and for, here.

    Raises:
        TrainingError: they cannot be compiled here; says why.
    """
    machine, capability = platform.machine(), torch.backends.cpu.get_cpu_capability()
    if machine != "x86_64" or capability not in ARCHITECTURES:
        raise TrainingError(
            f"packages of AOTInductor are compiled on x86_64 with AVX2 or AVX512; this is {machine} with {capability}: "
            "export without --aoti"
        )
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise TrainingError(
            "packages of AOTInductor need a C++ compiler, and there is none: install g++, or export without --aoti"
        ) from None
    return Packages.model_validate(
        {
            "torch": public_version(torch.__version__),
            "machine": machine,
            "capability": capability,
            "inputs": input_names(model),
        }
    )


def compile_packages(models: Sequence[Network], packages: Packages, folder: Path) -> None:
    """Write the packages of all members: with their gradients, and for the energies alone.

    Takes minutes.

    Args:
        models: the members, in the dtype of the packages.
        packages: as `packages_for_here` gives it.
        folder: where to write.
    """
    options = INDUCTOR | {"cpp.march": ARCHITECTURES[packages.capability]}
    files = (member_files(kind, len(models)) for kind in (PACKAGE, ENERGY_PACKAGE))
    for model, package, energies in zip(models, *files, strict=True):
        compile_package(model, folder / package, options)
        compile_package(model, folder / energies, options, gradient=False)


def compile_package(
    model: Network, path: Path, options: dict[str, Any], gradient: bool = True
) -> None:
    """Write a model to a package.

    Args:
        model: the model.
        path: of the package.
        options: Inductor's.
        gradient: whether it gives the gradient by the edge vectors, or the energies alone.
    """
    program = export_program(model, gradient)
    for node in program.graph.nodes:
        # Inductor chooses strides that not all of them allow
        if node.target == torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    program.graph_module.recompile()
    with quiet("torch._inductor"):
        aoti_compile_and_package(program, package_path=str(path), inductor_configs=options)
