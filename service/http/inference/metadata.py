"""What the protocol says of the server and of its models."""

from typing import Final

from msgspec import Struct

from service import VERSION
from service.http.inference.signature import TensorMetadata

EXTENSIONS: Final = ("binary_tensor_data",)


class Live(Struct):
    """That of /v2/health/live."""

    live: bool


class Ready(Struct):
    """That of /v2/health/ready."""

    ready: bool


class ModelReady(Struct):
    """Whether a version of a model can be asked for scores."""

    name: str
    ready: bool


class IndexedModel(Struct):
    """A model in the index: its live version, and READY, UNAVAILABLE or UNKNOWN.

    `reason` says why it is not ready, or which request tells whether it is.
    """

    name: str
    version: str
    state: str
    reason: str = ""


class ServerMetadata(Struct):
    """The server: its name, its version and the protocol's extensions that it knows."""

    name: str = "plate-scoring"
    version: str = VERSION
    extensions: tuple[str, ...] = EXTENSIONS


class ModelMetadata(Struct):
    """A model: its live version, the kind of its file, its inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ErrorMessage(Struct):
    """The body of every refusal."""

    error: str
