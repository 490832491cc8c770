"""Single requests to a target on 127.0.0.1, for readiness and for comparing answers."""

import http.client
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

_TIMEOUT_SECONDS: Final = 30


class Reply(NamedTuple):
    """The status and the decoded JSON of a reply; None if the body is not JSON."""

    status: int
    content: Any


def post(
    port: int,
    body: bytes,
    key: str,
    path: str = "/reg/",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Reply:
    """The reply to a POST over a new connection; `more` are further headers. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        headers = {"Content-Type": "application/json", "x-api-key": key, **more}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return Reply(response.status, _decoded(response.read()))
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def raw(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    """A whole HTTP/1.1 request with a JSON body, as it goes over the connection."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: loadgen\r\nContent-Type: application/json\r\n"
        f"x-api-key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
