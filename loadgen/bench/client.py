"""One request at a time: for readiness and for comparing answers, not for load."""

import http.client
import json
from typing import Any, Final, NamedTuple

_TIMEOUT_SECONDS: Final = 30


class Reply(NamedTuple):
    """The status and the decoded JSON of a reply, None when it is not JSON."""

    status: int
    content: Any


def post(port: int, body: bytes, key: str) -> Reply:
    """POST to /reg/ on 127.0.0.1 over a connection of its own. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        headers = {"Content-Type": "application/json", "x-api-key": key}
        connection.request("POST", "/reg/", body, headers)
        response = connection.getresponse()
        return Reply(response.status, _decoded(response.read()))
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
