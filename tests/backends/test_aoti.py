"""Packages of AOTInductor beside the ONNX artifact: a tiny Equiformer, exported once with both."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import numpy as np
import pytest
import torch

from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.prediction import Prediction
from app.backends import choice, load_backend
from app.cli.main import main
from app.errors import BackendError, CorruptModel, TrainingError
from app.store.card import Packages
from app.store.store import ModelStore, StoredModel
from app.training.data.load import LabelledFrame
from app.training.export import aoti as packages
from app.training.export.synthetic import box, cluster
from app.training.models import Statistics, build_model
from app.training.runs.config_file import parse_config
from app.training.runs.folder import RunFolder
from tests.api.server import WATER, running
from tests.contracts import ServedContract
from tests.paths import ROOT

CONFIG = {
    "data": {"train": "train.xyz"},
    "model": {
        "architecture": "equiformer",
        "cutoff": 3.0,
        "l_max": 1,
        "channels": [4, 2],
        "num_blocks": 1,
        "num_heads": 1,
        "head_channels": [4, 2],
        "nonlinear_messages": False,
        "feed_forward_channels": [4, 2],
        "readout_channels": 4,
        "num_basis": 4,
        "radial_hidden": [4],
    },
}
STATISTICS = Statistics(
    elements=("H", "C", "N", "O"),
    atomic_energies={"H": -13.6, "C": -1030.0, "N": -1485.0, "O": -2042.0},
    force_scale=1.3,
    average_neighbors=12.0,
)
FITTING = Packages(torch="2.13.0", machine="x86_64", capability="AVX2", inputs=("species",))

compiling = pytest.mark.slow  # what needs the fixture: minutes, once
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    """As they were: a backend with packages leaves one."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> StoredModel:
    folder, store = RunFolder(tmp_path_factory.mktemp("run")), tmp_path_factory.mktemp("store")
    frames = [
        LabelledFrame(s, 0.0, np.zeros((9, 3)), None, "made up", 0)
        for s in [cluster(STATISTICS.elements, 9, seed=9)]
    ]
    config = parse_config(CONFIG, "config")
    folder.write_setting(config, STATISTICS, frames)
    folder.write_weights(build_model(config.model, STATISTICS, seed=1).state_dict())
    folder.write_result({})
    try:
        packages.packages_for_here(build_model(config.model, STATISTICS))
    except TrainingError as error:
        pytest.skip(str(error))
    assert (
        main(["export", str(folder.path), "--name", "tiny", "--model-store", str(store), "--aoti"])
        == 0
    )
    return ModelStore(store).load("tiny")


@compiling
class TestPackages(ServedContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, published):
        return load_backend(published, threads=2, backend="aoti")


@compiling
def test_the_card_says_what_the_packages_are_for(published):
    packages = published.card.aoti
    assert packages.torch == torch.__version__.partition("+")[0]
    assert packages.certificate.systems == published.card.certificate.systems
    assert 0 < packages.certificate.largest.forces < packages.certificate.tolerance.forces
    assert {"model.onnx", "energies.onnx", "model.pt2", "energies.pt2"} == set(
        published.card.artifacts
    )
    assert set(published.card.artifacts) < set(published.card.files)


@compiling
@pytest.mark.parametrize("deterministic", [False, True])
def test_they_give_the_numbers_of_the_artifact_from_several_threads(published, deterministic):
    graphs = [
        build_graphs(
            [cluster(STATISTICS.elements, n, seed=n), box(STATISTICS.elements, 60, seed=1)], 3.0
        )
        for n in (3, 30)
    ]
    onnx = load_backend(published, deterministic=deterministic, backend="onnx")
    aoti = load_backend(published, threads=2, deterministic=deterministic, backend="aoti")
    with ThreadPoolExecutor(4) as pool:
        for graph, actual in zip(graphs * 5, pool.map(aoti, graphs * 5), strict=True):
            expected = onnx(graph)
            np.testing.assert_allclose(actual.forces, expected.forces, rtol=0, atol=1e-4)
            np.testing.assert_allclose(actual.energy, expected.energy, rtol=0, atol=1e-3)
            np.testing.assert_allclose(
                aoti.energies(graph).energies, expected.energies, rtol=0, atol=1e-4
            )


@compiling
@pytest.mark.parametrize(("faster", "words"), [("aoti", "torch"), ("onnx", "onnxruntime")])
def test_auto_takes_the_faster_one_and_says_so(published, monkeypatch, caplog, faster, words):
    def seconds(backend, graph):
        assert isinstance(backend(graph), Prediction)
        return 0.1 if words in backend.runtime else 0.3

    monkeypatch.setattr(choice, "evaluation_seconds", seconds)
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        backend = load_backend(published, threads=1)
    assert words in backend.runtime
    other = "onnx" if faster == "aoti" else "aoti"
    assert f"tiny@1 runs on {faster}, measured to be 3.00 times as fast as {other}" in caplog.text
    assert np.isfinite(
        backend(build_graph(cluster(STATISTICS.elements, 5, seed=5), 3.0)).energy
    ).all()


@compiling
def test_auto_measures_nothing_where_bits_are_to_be_the_same(published, monkeypatch, caplog):
    monkeypatch.delattr(choice, "evaluation_seconds")
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        assert "onnxruntime" in load_backend(published, deterministic=True).runtime
    assert "with deterministic answers nothing is measured" in caplog.text


@compiling
def test_the_service_says_what_a_model_runs_on(published):
    root = published.folder.parents[1]
    energies = {}
    for backend, words in (
        ("aoti", f"AOTInductor of torch {torch.__version__}"),
        ("onnx", "onnxruntime"),
    ):
        with running(root, default_model="tiny", backend=backend) as server:
            assert words in server.client.get("/models/tiny").json()["runs_on"]
            (result,) = server.predict(WATER).json()["results"]
            energies[backend] = result["energy"]
    assert energies["aoti"] == pytest.approx(energies["onnx"], abs=1e-3)


@compiling
def test_a_package_that_has_changed_is_not_loaded(published, tmp_path):
    shutil.copytree(published.folder, tmp_path / "tiny" / "1")
    with (tmp_path / "tiny" / "1" / "energies.pt2").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CorruptModel, match=r"energies\.pt2: sha256"):
        ModelStore(tmp_path).load("tiny")


SHORTAGE = """
import resource, sys
from pathlib import Path
import numpy as np
from app.backends import load_backend
from app.backends.artifact import OUTPUTS, is_out_of_memory
from app.backends.synthetic import lattice_piece
from app.atoms.neighbors import build_graph
from app.store.store import ModelStore

model = ModelStore(Path(sys.argv[1])).load("tiny")
backend = load_backend(model, threads=1, backend="aoti")

def feeds(atoms):
    graph = build_graph(lattice_piece(model.card, atoms, True), model.card.cutoff)
    (part,) = backend.portions(graph)
    species = model.card.species(graph.numbers)
    return part.feeds(species, graph.edge_vectors(), np.dtype(np.float32)) | part.links()

small, large = feeds(27), feeds(100_000)
backend.artifacts[0].run(OUTPUTS, small)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)
try:
    backend.artifacts[0].run(OUTPUTS, large)
except (MemoryError, RuntimeError) as error:
    assert is_out_of_memory(error), error
else:
    raise AssertionError("it did fit")
"""
"""The address space that a process may still take is a fraction of what its model wants, in single
arrays; a thread that was started then would want its stack, so that there is one thread only.
"""


@compiling
def test_a_shortage_of_memory_is_told_apart(published):
    command = [sys.executable, "-c", SHORTAGE, str(published.folder.parents[1])]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def with_packages(model: StoredModel, **fields: str) -> StoredModel:
    """The model with a card that says that it has packages."""
    card = model.card.model_copy(update={"aoti": FITTING.model_copy(update=fields)})
    return StoredModel(card, model.folder, model.digest)


def refused(
    model: StoredModel, match: str, caplog: pytest.LogCaptureFixture, **options: str
) -> None:
    """That packages are asked for is an error; `auto` takes something else and says why."""
    with pytest.raises(BackendError, match=match):
        load_backend(model, backend="aoti", **options)
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        assert "AOTInductor" not in load_backend(model).runtime
    assert f"{model.card.name}@{model.card.version} does not run on aoti: " in caplog.text


def test_another_version_of_torch_is_refused(bundled, caplog):
    refused(
        with_packages(bundled, torch="1.0.0"),
        r"written by torch 1\.0\.0 .* pip install 'torch==1\.0\.0'",
        caplog,
    )


def test_missing_torch_is_named_with_the_remedy(bundled, caplog, monkeypatch):
    version = metadata.version

    def without_torch(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_torch)
    refused(
        with_packages(bundled), r"pip install 'equipot\[aoti\]', or choose backend 'onnx'", caplog
    )


@pytest.mark.parametrize(
    ("machine", "capability"), [("x86_64", "AVX2"), ("x86_64", "DEFAULT"), ("aarch64", "AVX512")]
)
def test_a_processor_that_lacks_the_instructions_is_refused(
    bundled, caplog, monkeypatch, machine, capability
):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    model = with_packages(bundled, capability="AVX512", torch=torch.__version__.partition("+")[0])
    refused(model, f"this processor is {machine} with {capability}", caplog)


def test_a_file_that_is_no_package_is_refused(bundled, caplog, tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for file in bundled.card.artifacts:
        shutil.copyfile(bundled.folder / file, tmp_path / file)
    (tmp_path / "model.pt2").write_bytes(b"not a package")
    model = with_packages(bundled, torch=torch.__version__.partition("+")[0])
    refused(StoredModel(model.card, tmp_path, model.digest), r"model\.pt2 cannot be opened", caplog)


def test_a_gpu_has_no_packages(bundled):
    with pytest.raises(BackendError, match="for the CPU, not for 'cuda:0'"):
        load_backend(with_packages(bundled), device="cuda", backend="aoti")


def test_a_version_without_packages_runs_in_onnx_and_needs_no_torch(bundled):
    with pytest.raises(BackendError, match="equipot export --aoti"):
        load_backend(bundled, backend="aoti")
    script = (
        "import sys; from pathlib import Path; from app.backends import load_backend;"
        "from app.store.store import ModelStore;"
        "load_backend(ModelStore(Path('model_store')).load('organic-xtb')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_no_packages_are_compiled_where_that_cannot_be_done(monkeypatch):
    model = build_model(parse_config(CONFIG, "config").model, STATISTICS)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(TrainingError, match=r"this is riscv64 .* export without --aoti"):
        packages.packages_for_here(model)
