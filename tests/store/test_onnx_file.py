"""Which other files an ONNX file reads, wherever in it that stands."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.errors import CorruptModel
from app.store.card import ARTIFACT, ModelCard
from app.store.onnx_file import external_files
from app.store.store import ModelStore
from tests.paths import MODEL_STORE

OTHER = "weights.bin"


def stored(tensor: TensorProto, name: str = OTHER) -> TensorProto:
    """The tensor, kept in another file."""
    outside = TensorProto()
    outside.CopyFrom(tensor)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="offset", value="0")
    outside.external_data.add(key="location", value=name)
    return outside


HERE = numpy_helper.from_array(np.zeros(3, dtype=np.float32), "w")
AWAY = stored(HERE)


def graph(**parts: object) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    nodes = parts.pop("nodes", [helper.make_node("Identity", ["w"], ["y"])])
    return helper.make_graph(nodes, "g", [], [output], **parts)  # type: ignore[arg-type]


def constant(**value: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["y"], **value)


def sparse(values: TensorProto) -> onnx.SparseTensorProto:
    indices = numpy_helper.from_array(np.arange(3), "i")
    return helper.make_sparse_tensor(values, indices, [3])


def branch(inside: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["c"], ["y"], then_branch=inside, else_branch=graph())


def function(node: onnx.NodeProto) -> onnx.ModelProto:
    opset = [helper.make_opsetid("", 18)]
    made = helper.make_function("own", "f", [], ["y"], [node], opset)
    return helper.make_model(graph(), functions=[made])


def training(inside: onnx.GraphProto) -> onnx.ModelProto:
    model = helper.make_model(graph())
    model.training_info.add().algorithm.CopyFrom(inside)
    return model


def in_a_graph(**parts: object) -> onnx.ModelProto:
    return helper.make_model(graph(**parts))


PLACES = {
    "initializer": in_a_graph(initializer=[HERE, AWAY]),
    "sparse initializer": in_a_graph(sparse_initializer=[sparse(AWAY)]),
    "constant": in_a_graph(nodes=[constant(value=AWAY)]),
    "sparse constant": in_a_graph(nodes=[constant(sparse_value=sparse(AWAY))]),
    "several": in_a_graph(nodes=[constant(values=[HERE, AWAY])]),
    "branch": in_a_graph(nodes=[branch(graph(initializer=[AWAY]))]),
    "branch in a branch": in_a_graph(
        nodes=[branch(graph(nodes=[branch(graph(initializer=[AWAY]))]))]
    ),
    "function": function(constant(value=AWAY)),
    "training": training(graph(initializer=[AWAY])),
}


def found(model: onnx.ModelProto) -> set[str]:
    return external_files(memoryview(model.SerializeToString()))


@pytest.mark.parametrize("model", PLACES.values(), ids=PLACES)
def test_it_is_found_wherever_it_stands(model: onnx.ModelProto) -> None:
    assert found(model) == {OTHER}


def test_one_with_all_its_numbers_reads_no_other() -> None:
    assert found(in_a_graph(initializer=[HERE])) == set()
    artifacts = list((MODEL_STORE / "organic-xtb").glob("*/*.onnx"))
    assert artifacts
    for artifact in artifacts:
        assert external_files(memoryview(artifact.read_bytes())) == set()


def test_a_location_without_the_flag_counts_as_well() -> None:
    tensor = stored(HERE)
    tensor.ClearField("data_location")
    assert found(in_a_graph(initializer=[tensor])) == {OTHER}


def test_of_several_values_each_counts() -> None:
    """Readers take the last one of a field; the walk does not depend on it."""
    entry = onnx.StringStringEntryProto(key="location", value="b").SerializeToString()
    doubled = onnx.StringStringEntryProto(key="location", value="a").SerializeToString() + entry
    tensor = b"\x6a" + bytes([len(doubled)]) + doubled
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    assert external_files(memoryview(b"\x3a" + bytes([len(graph)]) + graph)) == {"a", "b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x3b\x3c", "kind 3"),
        (b"\x3a\x05", "that is none"),
        (b"\xba\x80\x80\x80\x10\x00", "that is none"),
        (b"\xff" * 20, "without an end"),
        (b"\x00\x00", "that is none"),
        (b"\x08\x00" * 2_000_001, "over 2000000 fields"),
    ],
)
def test_what_readers_might_take_in_another_way_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        external_files(memoryview(content))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        names = external_files(memoryview(content))
    except ValueError:
        return
    assert isinstance(names, set)


class TestInAStore:
    """A version whose artifact keeps its weights in a file beside it."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ModelStore:
        return ModelStore(tmp_path)

    def publish(self, store: ModelStore, card: ModelCard, model: onnx.ModelProto) -> Path:
        exported = {"name": "away", "backend": "onnx", "pair": {}}
        with store.publish(card.model_copy(update=exported)) as publication:
            (publication.folder / ARTIFACT).write_bytes(model.SerializeToString())
        return store.root / "away" / "1"

    def test_that_the_card_does_not_list_is_refused(
        self, store: ModelStore, pair_card: ModelCard
    ) -> None:
        folder = self.publish(store, pair_card, PLACES["initializer"])
        (folder / OTHER).write_bytes(bytes(12))
        with pytest.raises(CorruptModel, match=f"reads weights from '{OTHER}', of which its card"):
            store.load("away")

    @pytest.mark.parametrize("name", ["../../weights.bin", "/etc/passwd", "./model.onnx", ""])
    def test_that_lies_elsewhere_is_refused(
        self, store: ModelStore, pair_card: ModelCard, name: str
    ) -> None:
        self.publish(store, pair_card, in_a_graph(initializer=[stored(HERE, name)]))
        with pytest.raises(CorruptModel, match=r"model\.onnx reads weights from"):
            store.load("away")

    def test_that_the_card_lists_has_its_digest(
        self, store: ModelStore, pair_card: ModelCard
    ) -> None:
        exported = {"name": "away", "backend": "onnx", "pair": {}}
        with store.publish(pair_card.model_copy(update=exported)) as publication:
            artifact = PLACES["initializer"].SerializeToString()
            (publication.folder / ARTIFACT).write_bytes(artifact)
            (publication.folder / OTHER).write_bytes(bytes(12))
        assert store.load("away").card.files[OTHER] == hashlib.sha256(bytes(12)).hexdigest()
        (store.root / "away" / "1" / OTHER).write_bytes(b"\1" * 12)
        with pytest.raises(CorruptModel, match="differs from the card's"):
            store.load("away")

    def test_what_is_no_artifact_is_refused(self, store: ModelStore, pair_card: ModelCard) -> None:
        folder = self.publish(store, pair_card, onnx.ModelProto())
        assert (folder / ARTIFACT).stat().st_size == 0
        with pytest.raises(CorruptModel, match=r"model\.onnx is no ONNX file"):
            store.load("away")
