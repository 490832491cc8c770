"""POST /reg/ by the server's endpoint and by the Flask blueprint, to be compared."""

from typing import Final, NamedTuple

from tests.support.connections import Client, connected
from tests.support.parts import Served
from tests.support.server import KEY

JSON: Final = {"x-api-key": KEY, "Content-Type": "application/json"}
# What only the server writes, and what differs from request to request.
_SERVERS_OWN: Final = frozenset(("server", "date", "connection"))
_CHANGING: Final = frozenset(("x-request-id", "server-timing", "retry-after"))
REQUESTS = [
    *(("GET", address) for address in ("/", "/healthz", "/readyz", "/openapi.json", "/docs/")),
    *(("GET", address) for address in ("/nowhere", "/reg", "/reg/", "/docs/none", "/docs")),
    *(("POST", address) for address in ("/reg/", "/reg", "/healthz", "/nowhere")),
    *(("POST", "/reg/explain"), ("GET", "/reg/explain"), ("GET", "/reg/explain/")),
    *(("PUT", "/reg/"), ("HEAD", "/healthz"), ("OPTIONS", "/reg/"), ("BREW", "/reg/")),
]


class ComparedReply(NamedTuple):
    """A reply, less what differs from request to request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: object


def compared_reply(status: int, headers: "list[tuple[str, str]]", body: bytes) -> ComparedReply:
    named = sorted((name.lower(), value) for name, value in headers)
    ids = [value for name, value in named if name == "x-request-id"]
    assert len(ids) == 1
    kept = tuple(
        (name, _timing_names(value) if name == "server-timing" else "")
        if name in _CHANGING
        else (name, value)
        for name, value in named
        if name not in _SERVERS_OWN
    )
    return ComparedReply(status, kept, body.replace(ids[0].encode(), b"the id"))


def _timing_names(value: str) -> str:
    return ",".join(part.partition(";")[0] for part in value.split(", "))


async def by_server(
    client: Client, body: bytes, target: str = "/reg/", headers: "dict[str, str] | None" = None
) -> ComparedReply:
    named = JSON if headers is None else headers
    fields = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    return compared_reply(*await client.ask(head.encode() + body))


def by_flask(
    served: Served, body: bytes, target: str = "/reg/", headers: "dict[str, str] | None" = None
) -> ComparedReply:
    named = JSON if headers is None else headers
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in named.items()}
    kind = environ.pop("HTTP_CONTENT_TYPE", "")
    path, _, query = target.partition("?")
    reply = served.app.flask.test_client().post(
        path, query_string=query, data=body, content_type=kind, environ_overrides=environ
    )
    return compared_reply(reply.status_code, list(reply.headers), reply.data)


async def same(
    served: Served, body: bytes, target: str = "/reg/", headers: "dict[str, str] | None" = None
) -> ComparedReply:
    """The reply to a request, which must be the same in both ways."""
    async with connected(served.site) as client:
        reply = await by_server(client, body, target, headers)
    assert reply == by_flask(served, body, target, headers)
    return reply


def head(size: int, *fields: bytes, line: bytes = b"POST /reg/") -> bytes:
    """The head of a request for a body of so many bytes."""
    named = (b"Host: a", b"x-api-key: " + KEY.encode(), b"Content-Type: application/json")
    lines = (line + b" HTTP/1.1", *named, *fields, b"Content-Length: %d" % size, b"", b"")
    return b"\r\n".join(lines)


def posted(body: bytes, *fields: bytes, line: bytes = b"POST /reg/") -> bytes:
    return head(len(body), *fields, line=line) + body
