"""Pictures with the answers that any version of their models must give."""

from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from loadgen.common import client
from loadgen.common.errors import BadFile

# `make loadgen/data/pictures.jsonl` makes it.
PATH: Final = Path(__file__).parents[1] / "data/pictures.jsonl"


class Picture(Struct, frozen=True, forbid_unknown_fields=True):
    """A picture file and its right answer; in the file of pictures it is in base64."""

    kind: Literal["digit", "query"]
    answer: str | bool
    media_type: str
    image: bytes
    query: str = ""

    @property
    def path(self) -> str:
        """The address to post it to."""
        return "/digits/classify" if self.kind == "digit" else f"/query?query={quote(self.query)}"

    @property
    def status(self) -> int:
        """That of an answer: 201 for a digit, as its existing callers expect."""
        return 201 if self.kind == "digit" else 200

    def headers(self, key: str) -> dict[str, str]:
        """Those of a request with this key."""
        return {"Content-Type": self.media_type, "x-api-key": key}


def read(path: Path = PATH) -> list[Picture]:
    """The pictures of a file. Raises BadFile."""
    try:
        return msgspec.json.decode(
            b"[%s]" % b",".join(path.read_bytes().splitlines()), type=list[Picture]
        )
    except (OSError, msgspec.DecodeError) as error:
        raise BadFile(f"{path}: {error}") from error


def are_answered(port: int, key: str) -> bool:
    """Whether a server on this machine answers a picture of each kind: it loads models on use."""
    first = {one.kind: one for one in read()}.values()
    try:
        replies = [client.post(port, one.image, key, one.path, one.headers(key)) for one in first]
    except OSError:
        return False
    return [reply.status for reply in replies] == [one.status for one in first]
