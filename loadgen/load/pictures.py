"""The workload of pictures: digits and photos with the answers that any version must give."""

from itertools import cycle
from pathlib import Path
from random import Random
from typing import Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from loadgen.common import client
from loadgen.common.errors import BadFile
from loadgen.load.workload import Kind, Mix, RequestSpec

# `make loadgen/data/pictures.jsonl` makes it.
PATH: Final = Path(__file__).parents[1] / "data/pictures.jsonl"
_COUNT: Final = 1000
# Existing callers of this address get this status.
_DIGIT: Final = ("/digits/classify", 201)


class Picture(Struct, frozen=True, forbid_unknown_fields=True):
    """A picture file and its right answer; in the file of pictures it is in base64."""

    kind: Literal["digit", "query"]
    answer: str | bool
    media_type: str
    image: bytes
    query: str = ""


def read(path: Path = PATH) -> list[Picture]:
    """The pictures of a file. Raises BadFile."""
    try:
        return msgspec.json.decode(
            b"[%s]" % b",".join(path.read_bytes().splitlines()), type=list[Picture]
        )
    except (OSError, msgspec.DecodeError) as error:
        raise BadFile(f"{path}: {error}") from error


def build_requests(mix: Mix, pictures: list[Picture], key: str) -> list[RequestSpec]:
    """Requests in the proportions of the mix, in an order that is the same each time."""
    random = Random(5)  # noqa: S311 - an order, not a secret
    weights = {kind: weight for kind, weight in mix.weights().items() if weight}
    kinds = random.choices(list(weights), list(weights.values()), k=_COUNT)
    sources = {kind: cycle(_specs(kind, pictures, key)) for kind in weights}
    return [next(sources[kind]) for kind in kinds]


def are_answered(port: int, key: str) -> bool:
    """Whether a server on this machine answers a picture of each kind: it loads models on use."""
    specs = {one.kind: _spec(one, key) for one in read()}.values()
    try:
        replies = [client.post(port, one.body, key, one.path, one.headers) for one in specs]
    except OSError:
        return False
    return [reply.status for reply in replies] == [one.status for one in specs]


def _specs(kind: Kind, pictures: list[Picture], key: str) -> list[RequestSpec]:
    return [_spec(picture, key) for picture in pictures if picture.kind == kind]


def _spec(picture: Picture, key: str) -> RequestSpec:
    headers = {"Content-Type": picture.media_type, "x-api-key": key}
    path, status = (
        _DIGIT if picture.kind == "digit" else (f"/query?query={quote(picture.query)}", 200)
    )
    return RequestSpec(
        picture.kind, picture.image, headers, path, status=status, answer=picture.answer
    )
