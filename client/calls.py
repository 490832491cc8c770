"""What is sent for each question, and what is made of its reply: for `Client` and `AsyncClient`."""

import json
import re
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import uuid4

from client.transport import UNKNOWN, Refused

T = TypeVar("T")

REGNO: Final = "/reg/"
_JSON: Final = "application/json"
_PAGE: Final = 100
_NEXT: Final = re.compile(r'<(/[!-=?-~]*)>; rel="next"')


class Reply(NamedTuple):
    """A good reply, read to its end."""

    status: int
    headers: Message
    body: bytes

    def decoded(self) -> Any:
        """Its JSON. Raises Refused where it has none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Refused(self.status, UNKNOWN) from None


class Call(NamedTuple, Generic[T]):
    """A request; `read` makes the answer of its reply."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    read: Callable[[Reply], T]

    def by(self, seconds: float) -> dict[str, str]:
        """Its headers, with the time that the caller waits."""
        return {**self.headers, "X-Request-Timeout-Ms": str(max(1, int(seconds * 1000)))}


class ServedModel(NamedTuple):
    """A model, its live version, and whether it is ready."""

    name: str
    version: str
    state: str


class Page(NamedTuple):
    """A part of a list, and the path of the next one, "" for none."""

    entries: list[dict[str, Any]]
    following: str


def body_of(reply: Reply) -> Any:
    """What the envelope of a reply holds. Raises Refused where there is none."""
    try:
        return reply.decoded()["body"]
    except (KeyError, TypeError):
        raise Refused(reply.status, UNKNOWN) from None


def score(given: Any, *, detail: bool, path: str) -> Call[Any]:
    """The score of one request or of several."""
    return _posted(f"{path}?detail={int(detail)}", given)


def explain(given: Any, *, path: str) -> Call[Any]:
    """What each feature did to a score."""
    return _posted(f"{path}explain", given)


def models() -> Call[list[ServedModel]]:
    """The models that are served."""

    def read(reply: Reply) -> list[ServedModel]:
        shown = reply.decoded()
        return [ServedModel(one["name"], one["version"], one["state"]) for one in shown]

    return Call("POST", "/v2/repository/index", {}, b"", read)


def classify(image: bytes, filename: str) -> Call[dict[str, Any]]:
    """Which digit a picture shows."""
    return _form("/v1/inference", {"file_name": (filename, image)}, {}, Reply.decoded)


def query(image: bytes, asked: str, filename: str) -> Call[dict[str, Any]]:
    """The answer to a query about a picture."""
    return _form("/query", {"image": (filename, image)}, {"query": asked}, body_of)


def first_page(limit: int | None) -> str:
    """The path of a list of pictures of which so many are wanted."""
    return "/v1/inference" if limit is None else f"/v1/inference?limit={min(_PAGE, limit)}"


def page(path: str) -> Call[Page]:
    """A part of a list."""

    def read(reply: Reply) -> Page:
        following = _NEXT.search(reply.headers.get("Link", ""))
        return Page(reply.decoded(), following[1] if following else "")

    return Call("GET", path, {}, None, read)


def _posted(path: str, given: Any) -> Call[Any]:
    body = json.dumps(given, ensure_ascii=False).encode()
    return Call("POST", path, {"Content-Type": _JSON}, body, body_of)


def _form(
    path: str,
    files: Mapping[str, tuple[str, bytes]],
    texts: Mapping[str, str],
    read: Callable[[Reply], T],
) -> Call[T]:
    boundary = uuid4().hex
    parts = [
        (f'name="{field}"; filename="{_plain(filename)}"', content)
        for field, (filename, content) in files.items()
    ]
    parts += [(f'name="{field}"', _encoded(text)) for field, text in texts.items()]
    pieces = [
        _encoded(f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\n\r\n") + content
        for named, content in parts
    ]
    body = b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode()])
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return Call("POST", path, kind, body, read)


def _plain(filename: str) -> str:
    """A name of a file that ends no line of a form."""
    return re.sub(r'["\r\n]', "_", Path(filename).name)


def _encoded(text: str) -> bytes:
    """UTF-8; names of files may hold bytes that are not text."""
    return text.encode("utf-8", "replace")
