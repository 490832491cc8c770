"""The golden requests: simulated readings that every model scores before it serves."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from model.regno.request import Reading, decode_custom
from model.request_decoder import RequestDecoder

PATH: Final = Path(__file__).with_name("golden.jsonl")


@cache
def readings() -> list[Reading]:
    """The golden requests of `golden.jsonl`, one JSON object a line."""
    decode = RequestDecoder(Reading, decode_custom)
    golden = [decode(line) for line in PATH.read_bytes().splitlines()]
    return [reading for reading in golden if isinstance(reading, Reading)]


def example() -> dict[str, Any]:
    """The first golden request, which is the worked example of the README."""
    request: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8").splitlines()[0])
    return request
