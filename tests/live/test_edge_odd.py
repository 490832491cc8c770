"""Odd requests at the edge: nginx and the service read one request alike, or one refuses it."""

import socket
from collections.abc import Iterator
from itertools import takewhile

import pytest
from hypothesis import HealthCheck, given, settings

from service.server.request import path_of
from tests.support import soak
from tests.support.echo import Echo, Received, Say
from tests.support.edge import Edge, edge_before
from tests.support.odd_requests import EDGE_REFUSALS, READ, REFUSED, Odd
from tests.support.parsing import Read, mutations, read
from tests.support.replies import replies_to
from tests.support.server import Server
from tests.support.vacuous import nonempty

# A page that the edge passes on, to which the service answers as to the one of the corpus.
_PAGES = (
    (b"/healthz", b"/openapi.json"),
    (b"/health%7A", b"/openapi.jso%6E"),
    (b"/health z", b"/openapi .json"),
)
# What the edge says itself to a request that it has read.
_OWN = 404


def passed_on(data: bytes) -> bytes:
    for page, passed in _PAGES:
        data = data.replace(page, passed)
    return data


@pytest.fixture(scope="module")
def edge(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge before the real service, which waits no longer than a second for anything."""
    folder = tmp_path_factory.mktemp("edge")
    with edge_before(folder, service.port, header_timeout="1", body_timeout="1") as edge:
        yield edge


def connect(edge: Edge, seconds: float = 30.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", edge.port), seconds)


def is_refused(status: int) -> bool:
    return status in EDGE_REFUSALS


@pytest.mark.parametrize("odd", [*REFUSED, *READ], ids=lambda odd: odd.name)
def test_each_has_its_right_answer_at_the_edge(odd: Odd, edge: Edge) -> None:
    with replies_to(connect(edge), passed_on(odd.data)) as replies:
        statuses = replies.statuses(len(odd.edge))
        if not statuses:  # an end without a reply, or a reset that took the reply with it
            assert is_refused(odd.edge[0])
            return
        for status, right in zip(nonempty(statuses), odd.edge, strict=True):
            assert status == right or (is_refused(status) and is_refused(right))
        if not is_refused(statuses[-1]) and not odd.closes:
            assert replies.goes_on()


def _as_read(request: Read) -> tuple[str, bytes, bytes, bytes]:
    _, _, query = request.target.partition(b"?")
    return request.method.decode(), path_of(request.target), query, request.body


def _repeated(request: Received) -> Say:
    """A reply that holds what the edge passed on."""
    path, _, query = request.path.encode("latin-1").partition(b"?")
    read = request.method, path_of(path), query, request.body
    return 200, {}, repr(read).encode()


def _assert_read_alike(data: bytes, edge: Edge) -> int:
    """What both take of some bytes must be the same; how many requests that were."""
    requests, _ = read(data)
    ours = list(takewhile(lambda request: request.complete and not request.fault, requests))
    # To a request of which nginx waits for more there is no reply: then the service refused it.
    with replies_to(connect(edge, 0.5), data) as replies:
        answers = replies.next(len(ours))
    alike = 0
    for request, answer in zip(ours, answers, strict=False):
        if answer.status not in {200, _OWN}:
            break  # it is refused, and the bytes after it are not a request
        if answer.status == 200:
            assert answer.body == repr(_as_read(request)).encode()
        alike += 1
    return alike


@pytest.fixture
def telling(bare: Edge, echo: Echo) -> Edge:
    """An edge before an upstream that replies with what it got."""
    echo.answer = _repeated
    return bare


@pytest.mark.parametrize("odd", READ, ids=lambda odd: odd.name)
def test_what_both_read_they_read_alike(odd: Odd, telling: Edge) -> None:
    alike = _assert_read_alike(passed_on(odd.data), telling)
    assert alike == len([status for status in odd.edge if not is_refused(status)])


@pytest.mark.slow
@given(data=mutations((b"GET", b"POST")).map(passed_on))
@settings(max_examples=soak.size(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_what_both_read_they_read_alike(data: bytes, telling: Edge) -> None:
    assert _assert_read_alike(data, telling) >= 0
