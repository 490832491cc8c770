"""One page, one path: what a proxy that filters by path lets pass is what the service takes."""

import pytest

from tests.support.live import exchange
from tests.support.server import KEY, METRICS_TOKEN, Server

_AUTHORIZED = f"x-api-key: {KEY}\r\nAuthorization: Bearer {METRICS_TOKEN}"


def _get(server: Server, target: str, *headers: str) -> tuple[int, bytes]:
    lines = (f"GET {target} HTTP/1.1", "Host: localhost", _AUTHORIZED, *headers, "", "")
    reply = exchange(server, "\r\n".join(lines).encode())
    return reply.status, reply.body


def test_the_metrics_are_at_their_own_path(live: Server) -> None:
    status, page = _get(live, "/metrics")
    assert status == 200
    assert b"scoring_http_requests_total" in page


_NOWHERE = b'{"body":"there is nothing at this address","status":"fail"}'


@pytest.mark.parametrize(
    "target",
    [
        *(
            "//metrics",
            "///metrics",
            "//reg/../metrics",
            "/reg//metrics",
            "/metrics//",
            "/./metrics",
        ),
        *("/reg/metrics", "/metrics;x", "/METRICS", "/metrics/..%2fmetrics", "//metrics?a=b"),
        *("//readyz", "//reg/", "///", "//model", "//openapi.json", "/%2fmetrics"),
    ],
)
def test_no_other_spelling_leads_there(target: str, live: Server) -> None:
    assert _get(live, target) == (404, _NOWHERE)


def test_over_a_socket_too_the_example_key_is_for_this_machine_only(live: Server) -> None:
    """A client of the socket, an edge perhaps, names the address that it forwards for."""
    for forwarded, status in (("127.0.0.1", 200), ("203.0.113.9", 401), ("::1, 10.0.0.1", 401)):
        assert _get(live, "/", f"X-Forwarded-For: {forwarded}")[0] == status
    twice = ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.9")
    assert _get(live, "/", *twice)[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        *("SCRIPT_NAME: /reg", "SCRIPT-NAME: /reg", "Script_Name: /reg", "PATH_INFO: /metrics"),
        *("X-Script-Name: /reg", "X-Original-URL: /metrics", "X-Rewrite-URL: /metrics"),
        *("X-Forwarded-Prefix: /reg", "REMOTE_USER: root"),
    ],
)
def test_no_header_changes_the_path(header: str, live: Server) -> None:
    assert _get(live, "/reg/metrics", header) == (404, _NOWHERE)
    status, page = _get(live, "/metrics", header)
    assert status == 200
    assert b"scoring_http_requests_total" in page
