"""The real server's log to a file, to a pipe that workers share, and to a terminal."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.live import Connection, connections, exchange, head
from tests.support.server import METRICS_TOKEN, Server, eventually, serving
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow

_ESCAPE = "\x1b[31m\u2028\x9b"


class Reader:
    """Takes in what a descriptor gives, until its other end is closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = b""
        self._thread = Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                piece = os.read(self._descriptor, 65536)
            except OSError:  # how a terminal ends
                return
            if not piece:
                return
            self._read += piece

    def text(self) -> str:
        """All that has come so far."""
        return self._read.decode()

    def whole(self) -> str:
        """All there ever was."""
        self._thread.join()
        return self.text()


@contextmanager
def _writing_to(descriptor: int, folder: Path, **settings: str) -> Iterator[Server]:
    """A ready server whose stdout is a descriptor of the test's, which is closed here."""
    server = Server(folder, settings, output=descriptor)
    os.close(descriptor)
    try:
        server.wait_ready()
        yield server
    finally:
        assert server.stop() == 0


def test_on_a_terminal_it_is_columns_with_colours_and_no_escape_of_a_clients(
    tmp_path: Path,
) -> None:
    terminal, end = os.openpty()
    reader = Reader(terminal)
    hostile = {f"SCORING_X_{_ESCAPE}": "1"}
    with _writing_to(end, tmp_path, **hostile) as server, connections(server, 1) as (opened,):
        assert opened.score(VALID).status == 200
        lost_id = opened.ask("GET", "/nowhere").header("x-request-id")
        assert opened.ask("GET", "/%1b%5b31m").status == 404
        assert exchange(server, b"\x1b[2J / HTTP/1.1\r\n\r\n", then_end=True).status == 400
    text = reader.whole()
    os.close(terminal)
    lines = text.replace("\r\n", "\n").splitlines()
    assert re.search(
        r"^\d\d:\d\d:\d\d\.\d{3} info     POST    /reg +200 +\d+\.\d{3} ms +1 rows  example$",
        text.replace("\r\n", "\n"),
        re.MULTILINE,
    )
    (lost,) = [line for line in lines if lost_id in line]
    assert lost.startswith("\x1b[33m")
    assert lost.endswith("\x1b[0m")
    assert " warning  GET     unmatched    404 " in lost
    assert any(re.search(r" info     gunicorn\.error: Booting worker", line) for line in lines)
    (misspelt,) = [line for line in lines if "not a setting" in line]
    assert r"SCORING_X_\x1b[31m\u2028\x9b " in misspelt
    ours = re.sub(r"\x1b\[(?:33m|31m|0m)", "", "".join(lines))
    assert ours.isprintable()


def test_off_a_terminal_it_is_one_json_object_a_line_whatever_is_sent(tmp_path: Path) -> None:
    with serving(tmp_path, **{f"X_{_ESCAPE}": "1"}) as server:
        for field in (b"X-Request-Id", b"User-Agent", b"Traceparent", b"Referer"):
            for value in (b'"}\r\n', "\u2028".encode(), b"\xc2\x9b31m", b'","level":"error'):
                raw = b"GET / HTTP/1.1\r\nHost: x\r\n" + field + b": " + value + b"\r\n\r\n"
                assert exchange(server, raw).status in {400, 401}
        assert exchange(server, b"\x1b[2J / HTTP/1.1\r\n\r\n", then_end=True).status == 400
        assert exchange(server, head(0, target="/%0a%1b%5b31m")).status == 404
        output = server.output()
    assert not re.search("[^ -~\n]", output)
    assert len(output.splitlines()) == output.count("\n")
    assert {"time", "level", "logger"} <= set.intersection(*map(set, server.log()))
    assert server.messages("not a setting")


def test_workers_that_share_a_pipe_do_not_mix_their_lines(tmp_path: Path) -> None:
    incoming, outgoing = os.pipe()
    reader = Reader(incoming)
    with _writing_to(outgoing, tmp_path) as server, connections(server, 8) as opened:
        asking = [Thread(target=_ask_often, args=(connection,)) for connection in opened]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    lines = [json.loads(line) for line in reader.whole().splitlines()]
    os.close(incoming)
    ids = [line["request_id"] for line in lines if line.get("route") == "/"]
    assert len(ids) == len(set(ids)) == 8 * 100


def _ask_often(connection: Connection) -> None:
    for _ in range(100):
        assert connection.ask("GET", "/").status == 200


def test_a_log_without_a_reader_ends_no_connection(tmp_path: Path) -> None:
    incoming, outgoing = os.pipe()
    with _writing_to(outgoing, tmp_path) as server, connections(server, 1) as (opened,):
        os.close(incoming)
        for _ in range(20):  # on one connection, which is not opened again
            assert opened.ask("GET", "/").status == 200


def test_a_stalled_reader_loses_lines_and_delays_no_reply(tmp_path: Path) -> None:
    incoming, outgoing = os.pipe()
    with (
        _writing_to(outgoing, tmp_path, SCORING_WORKERS="1") as server,
        connections(server, 8) as opened,
    ):
        requested = 2  # the last two requests for the count, which are lines too
        while not _dropped(server):
            asking = [Thread(target=_ask_often, args=(connection,)) for connection in opened]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
            requested += 100 * len(opened) + 1
        reader = Reader(incoming)
        eventually(lambda: "were dropped" in reader.text(), "the log says what was dropped")
        dropped = int(_dropped(server))
        assert dropped > 0
    lines = [json.loads(line) for line in reader.whole().splitlines()]
    os.close(incoming)
    messages = [line["message"] for line in lines if "were dropped" in line.get("message", "")]
    assert [int(message.split()[0]) for message in messages] == [dropped]
    written = [line["request_id"] for line in lines if line.get("route") in {"/", "/metrics"}]
    assert len(written) == len(set(written)) == requested - dropped


def _dropped(server: Server) -> float:
    with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
        page = client.get("/metrics").text
    (count,) = re.findall(r"^scoring_log_lines_dropped_total (\S+)$", page, re.MULTILINE)
    return float(count)


def test_the_levels_and_the_share_are_settings(
    tmp_path: Path, request_body: dict[str, Any]
) -> None:
    with (
        serving(tmp_path, log_sample="0", log_level="info") as server,
        server.client() as client,
    ):
        for address, status in (("/", 200), ("/healthz", 200), ("/nowhere", 404), ("/docs", 308)):
            assert client.get(address).status_code == status
        doubtful = {**request_body, "camera_class": "new"}
        assert client.post("/reg/", json=doubtful).status_code == 200
    logged = [(line["route"], line["status"]) for line in server.log() if "status" in line]
    assert logged == [("unmatched", 404), ("/docs", 308), ("/reg", 200)]
    with serving(tmp_path / "2", log_level="warning") as server, connections(server, 4) as opened:
        for connection in opened:
            assert connection.ask("GET", "/nowhere").status == 404
    assert [line.get("status") for line in server.log()] == [404] * 4
