"""The log is JSON, one object a line, and tells names: no plate, no key, no exception's text."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from service.logs import JsonFormatter
from tests.support.server import serving

PLATE = "Х777ХХ799"


def test_a_line_tells_an_exception_by_its_type_only() -> None:
    try:
        int(PLATE)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it %s", ("broke",), sys.exc_info())
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "it broke"
    assert line["level"] == "error"
    assert line["exception"] == "ValueError"
    assert PLATE not in str(line)


def test_a_message_with_line_ends_and_quotes_stays_one_line() -> None:
    message = 'a\n{"level":"error"}\r\n"'
    record = logging.LogRecord("x", logging.INFO, "f", 1, message, (), None)
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == message


def test_the_servers_log_tells_the_keys_name_and_neither_plate_nor_key(
    tmp_path: Path, request_body: dict[str, Any]
) -> None:
    planted = {**request_body, "regno_recognize": PLATE, "camera_class": "Тайная"}
    with serving(tmp_path, api_keys="partner:wL9xQ") as server:
        with server.client(x_api_key="wL9xQ", x_request_id="planted-1") as client:
            wrong = {**planted, "direction": PLATE}
            replies = [
                client.post("/reg/", json=planted),
                client.post("/reg/", json=wrong),
                client.post("/reg/?plate=X777", content=b"X777XX"),
            ]
        with server.client(x_api_key="wL9xQ-wrong") as client:
            assert client.get("/").status_code == 401
    assert [reply.status_code for reply in replies] == [200, 400, 415]
    told = [line for line in server.log() if line.get("request_id") == "planted-1"]
    assert [line["status"] for line in told] == [200, 400, 415]
    assert {line["key"] for line in told} == {"partner"}
    assert told[0]["rows"] == 1
    assert "unseen-category:camera_class" in told[0]["warnings"]
    for secret in ("wL9x", PLATE, "X777", "Тайная"):
        assert secret not in server.output() + server.errors()
