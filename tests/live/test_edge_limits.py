"""What the edge limits: rates, requests in progress, and how slow a client may be."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.support.echo import Echo, Say, echoing
from tests.support.edge import Edge, assert_refused_by_edge, edge_before, exchange
from tests.support.reply import Reply
from tests.support.server import eventually
from tests.support.strategies import VALID

_TOO_MANY = "too many requests"


def many(edge: Edge, count: int, key: str = "", **headers: str) -> list[Reply]:
    """Requests one after the other on one connection."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    keyed = {"x-api-key": key} if key else {}
    with closing(edge.connection()) as kept:
        return [exchange(kept, "POST", "/reg/", VALID, keyed | named) for _ in range(count)]


def statuses(answers: list[Reply]) -> list[int]:
    return [answer.status for answer in answers]


def test_one_key_over_its_rate_is_refused_and_another_passes(echo: Echo, tmp_path: Path) -> None:
    # One a second, and five at once: the figures can't be reached by chance while the test runs.
    settings = {"rate_per_key": "1", "burst_seconds": "5"}
    with edge_before(tmp_path / "edge", echo.port, **settings) as edge:
        greedy = many(edge, 20, "greedy")
        # The first, and then the burst; a slow machine earns one or two more.
        passed = statuses(greedy).count(200)
        assert 6 <= passed <= 8
        assert statuses(greedy)[:6] == [200] * 6
        assert_refused_by_edge(greedy[-1], 429, _TOO_MANY)
        later = {seconds for reply in greedy[8:] for seconds in reply.all("Retry-After")}
        assert later <= {"1", "2", "3"}
        assert len(later) > 1, "not all come again at once"
        assert greedy[0].all("Retry-After") == []
        assert statuses(many(edge, 6, "modest")) == [200] * 6
        assert len(echo.received) == passed + 6
        # The edge's own page is not counted, nor is a request without a key.
        assert {edge.ask("GET", "/edge/healthz").status for _ in range(10)} == {200}
        assert statuses(many(edge, 10)) == [401] * 10
        eventually(lambda: many(edge, 1, "greedy")[0].status == 200, "the rate lets it in again")


def test_blanks_around_a_key_are_no_other_key(echo: Echo, tmp_path: Path) -> None:
    settings = {"rate_per_key": "1", "burst_seconds": "3"}
    with edge_before(tmp_path / "edge", echo.port, **settings) as edge:
        blanks = [" \t" * number for number in range(10)]
        answers = [many(edge, 1, f"{some}greedy{some}")[0] for some in blanks]
        assert 4 <= statuses(answers).count(200) <= 6
        assert {received.headers["x-api-key"] for received in echo.received} == {"greedy"}


def test_an_address_over_its_rate_is_refused_whatever_the_key(echo: Echo, tmp_path: Path) -> None:
    settings = {"rate_per_address": "1", "burst_seconds": "3"}
    with edge_before(tmp_path / "edge", echo.port, **settings) as edge:
        answers = [many(edge, 1, f"key-{number}")[0] for number in range(10)]
        assert 4 <= statuses(answers).count(200) <= 6
        assert_refused_by_edge(answers[-1], 429, _TOO_MANY)


def test_addresses_are_those_that_a_trusted_balancer_names(echo: Echo, tmp_path: Path) -> None:
    settings = {"rate_per_address": "1", "burst_seconds": "0.1"}
    trusting = {**settings, "trusted_proxies": "127.0.0.1"}
    with edge_before(tmp_path / "trusting", echo.port, **trusting) as edge:
        for number in range(8):
            # What a client forged stands before what the balancer wrote.
            chain = f"9.9.9.9, 10.0.0.{number}"
            assert many(edge, 1, "k", X_Forwarded_For=chain)[0].status == 200
            assert echo.last.get_all("X-Forwarded-For") == [f"10.0.0.{number}"]
        assert 429 in statuses(many(edge, 5, "k", X_Forwarded_For="10.0.0.99"))
    with edge_before(tmp_path / "wary", echo.port, **settings) as edge:
        refused = [many(edge, 1, "k", X_Forwarded_For=f"10.0.0.{n}")[0].status for n in range(8)]
        assert 429 in refused


def test_one_address_has_a_limit_of_simultaneous_requests(echo: Echo, tmp_path: Path) -> None:
    with (
        edge_before(tmp_path / "edge", echo.port, connections_per_address="3") as edge,
        ExitStack() as held,
    ):
        for _ in range(3):
            _hold(held, edge)
        full = edge.ask("GET", "/")
        assert_refused_by_edge(full, 429, _TOO_MANY)
        assert full.all("Retry-After")[0] in {"1", "2", "3"}
        held.close()
        eventually(lambda: edge.ask("GET", "/").status == 200, "the places are free again")


_HEAD = b"POST /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nContent-Length: 90000\r\n\r\n"
_EXPECTING = _HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _begin(held: ExitStack, edge: Edge, sent: bytes = _HEAD) -> socket.socket:
    """A request that does not come to its end."""
    slow = held.enter_context(socket.create_connection(("127.0.0.1", edge.port), 20))
    slow.sendall(sent)
    return slow


def _hold(held: ExitStack, edge: Edge) -> None:
    """A request that the edge has let in: only then it asks for the body.

    A probe would not tell: while it is answered, it holds a place that a request may want.
    """
    begun = _begin(held, edge, _EXPECTING)
    assert begun.recv(len(_CONTINUE), socket.MSG_WAITALL) == _CONTINUE


def test_a_head_has_one_time_limit_however_it_trickles(echo: Echo, tmp_path: Path) -> None:
    with edge_before(tmp_path / "edge", echo.port, header_timeout="1") as edge, ExitStack() as held:
        slow = _begin(held, edge, b"POST /reg/ HTTP/1.1\r\n")
        slow.settimeout(0.05)
        began = time.monotonic()
        while True:
            assert time.monotonic() - began < 30
            try:
                slow.sendall(b"a")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - began >= 0.9
    assert echo.received == []


def test_a_body_that_stops_coming_is_given_up_and_logged(echo: Echo, tmp_path: Path) -> None:
    with edge_before(tmp_path / "edge", echo.port, body_timeout="1") as edge, ExitStack() as held:
        slow = _begin(held, edge)
        began = time.monotonic()
        with suppress(ConnectionResetError):
            assert slow.recv(1) == b""
        assert time.monotonic() - began >= 0.9
        eventually(lambda: [line["status"] for line in edge.log()] == [408], "it is logged")
    assert echo.received == []


@pytest.mark.slow
def test_hundreds_of_slow_clients_delay_no_other(echo: Echo, tmp_path: Path) -> None:
    with (
        edge_before(tmp_path / "edge", echo.port, connections_per_address="0") as edge,
        ExitStack() as held,
    ):
        slow = [_begin(held, edge) for _ in range(300)]
        slow += [
            _begin(held, edge, b"POST /reg/ HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(300)
        ]
        for _ in range(3):
            for connection in slow:
                connection.sendall(b"x")
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: many(edge, 25, "k"), range(4)))
            assert [statuses(part) for part in answers] == [[200] * 25] * 4
        assert len(echo.received) == 300
        active = edge.status("/status").body.decode().splitlines()[0]
        assert int(active.split(":")[1]) >= 600


def _silent(seconds: float) -> Say:
    time.sleep(seconds)
    return 200, {}, b"late"


@pytest.mark.slow
def test_a_request_times_out_without_a_retry_when_the_service_does_not_answer(
    tmp_path: Path,
) -> None:
    with echoing() as one, echoing() as other:
        one.answer = other.answer = lambda _: _silent(8)
        ports = (one.port, other.port)
        with edge_before(tmp_path / "edge", *ports, reply_timeout="5") as edge:
            began = time.monotonic()
            late = edge.ask("POST", "/reg/", VALID)
            assert_refused_by_edge(late, 504, "too long")
            assert time.monotonic() - began >= 4.9
        assert len(one.received) + len(other.received) == 1


def test_a_reply_that_a_client_does_not_take_frees_the_service(echo: Echo, tmp_path: Path) -> None:
    size = 8_000_000
    echo.answer = lambda _: (200, {}, b"x" * size)
    with edge_before(tmp_path / "edge", echo.port, send_timeout="2") as edge, ExitStack() as held:
        slow = held.enter_context(socket.socket())
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", edge.port))
        slow.sendall(b"GET /reg/ HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\n\r\n")
        eventually(lambda: echo.answered == 1, "the service is rid of its reply")
        eventually(lambda: b"Writing: 1 " in edge.status("/status").body, "the client is given up")
        taken = 0
        with suppress(ConnectionResetError):
            while piece := slow.recv(65536):
                taken += len(piece)
        assert taken < size // 2
