"""What goes over the wire of the Open Inference Protocol, as pydantic types."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from app.backends.domain import OnOod
from app.protocol.wire import Wire

MOST_TENSORS = 32
LONGEST_TEXT = 1000
Size = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(max_length=LONGEST_TEXT)]


class InputParameters(Wire):
    """How a tensor of the request is sent."""

    binary_data_size: Size | None = Field(
        default=None, description="bytes of it after the JSON, in place of `data`"
    )


class InputTensor(Wire):
    """A tensor of the request."""

    name: Name
    shape: Annotated[list[Size], Field(max_length=8)]
    datatype: Name
    parameters: InputParameters = InputParameters()
    data: Annotated[list[Any] | None, Field(json_schema_extra={"items": {}})] = Field(
        default=None, description="row by row, nested or flat"
    )


class OutputParameters(Wire):
    """How a tensor of the answer is sent."""

    binary_data: bool | None = Field(
        default=None, description="whether as bytes after the JSON; default: `binary_data_output`"
    )


class OutputWanted(Wire):
    """A tensor that is to be answered."""

    name: Name
    parameters: OutputParameters = OutputParameters()


class InferParameters(Wire):
    """What else is asked of a request as a whole."""

    binary_data_output: bool = Field(
        default=False, description="whether answers are sent as bytes after the JSON"
    )
    strict: bool = Field(default=False, description="whether a warning is an error")
    on_ood: OnOod = Field(
        default="warn",
        description="whether what the model's training data never held is answered with a warning or "
        "refused",
    )
    allow_odd_electrons: bool = Field(
        default=False,
        description="whether models of closed shells answer for radicals, with a warning",
    )


class InferRequest(Wire):
    """Structures as tensors."""

    id: Name | None = Field(default=None, description="comes back")
    parameters: InferParameters = InferParameters()
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=MOST_TENSORS)]
    outputs: Annotated[list[OutputWanted] | None, Field(max_length=MOST_TENSORS)] = Field(
        default=None, description="default: all that the structures have"
    )


class OutputTensor(Wire):
    """A tensor of the answer."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, JsonValue] | None = Field(
        default=None, description="`binary_data_size`, of what comes after the JSON"
    )
    data: list[float] | None = Field(default=None, description="row by row, flat")


class InferParametersOut(Wire):
    """What else is said of an answer."""

    digest: str = Field(description="sha256 of the model's card")
    warnings: str | None = Field(
        default=None,
        description="JSON text of a list of `{structure, code, message}`, where there are doubts",
    )


class InferResponse(Wire):
    """Energies, forces and stress as tensors."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: InferParametersOut
    outputs: list[OutputTensor]


class TensorMetadata(Wire):
    """What a tensor of a model is."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 for what may be of any size")


class ModelMetadata(Wire):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(Wire):
    """Whether a model may be asked."""

    name: str
    ready: Literal[True]


class ServerMetadata(Wire):
    """What serves."""

    name: Literal["equipot"]
    version: str
    extensions: list[str]


class ServerLive(Wire):
    """The process is there."""

    live: Literal[True]


class ServerReady(Wire):
    """Whether the service may be asked."""

    ready: bool
    live: bool = Field(description="the same; the specification's text names this field")


class ProtocolError(Wire):
    """What went wrong."""

    error: str
