"""What a model takes and gives as tensors."""

from app.atoms.properties import ANSWERED as PROPERTIES
from app.atoms.properties import Property
from app.protocol.open_inference.schemas import ModelMetadata, TensorMetadata
from app.protocol.open_inference.tensors import ANSWERED, ANY, BOOLEANS, FLOATS, INTEGERS, Input
from app.store.card import ModelCard

INPUTS = (
    Input("numbers", tuple(INTEGERS), "atom"),
    Input("positions", tuple(FLOATS), "atom", (3,)),
    Input("n_atoms", tuple(INTEGERS), "structure"),
    Input("cell", tuple(FLOATS), "structure", (3, 3)),
    Input("pbc", tuple(BOOLEANS), "structure", (3,)),
    Input("charge", tuple(INTEGERS), "structure"),
    Input("multiplicity", tuple(INTEGERS), "structure"),
)
"""All that may be sent; the first two have to be."""
REQUIRED = ("numbers", "positions")
PLATFORMS = {"onnx": "onnx_onnxv1", "pair": "equipot_pair"}
"""The protocol's names of what a model is, by the backend of its card."""


def outputs_of(card: ModelCard) -> tuple[Property, ...]:
    """What a model can answer; estimated errors only where it has some."""
    estimates = card.members > 1 or card.uncertainty is not None
    return tuple(row for row in PROPERTIES if estimates or row.beside is None)


def metadata(card: ModelCard, versions: list[str]) -> ModelMetadata:
    """What a model takes and gives.

    Args:
        card: of the model.
        versions: of it that are served.
    """
    inputs = [
        TensorMetadata(name=kind.name, datatype=kind.datatypes[0], shape=[ANY, *kind.shape])
        for kind in INPUTS
    ]
    outputs = [
        TensorMetadata(name=row.name, datatype=ANSWERED, shape=[ANY, *row.shape])
        for row in outputs_of(card)
    ]
    return ModelMetadata(
        name=card.name,
        versions=versions,
        platform=PLATFORMS[card.backend],
        inputs=inputs,
        outputs=outputs,
    )
