"""Arguments of requests that are 0 or 1, in a query string or wherever else they stand."""

from typing import Final
from urllib.parse import parse_qs

from model import InvalidRequest

_FLAGS: Final = {"0": False, "1": True}


def wants_details(query: str) -> bool:
    """Whether a query string asks for details. Raises InvalidRequest unless it is by 0 or 1."""
    values = parse_qs(query, keep_blank_values=True, errors="replace").get("detail", ["0"])
    if len(values) > 1:
        raise InvalidRequest("detail", "is named twice")
    return flag("detail", values[0])


def flag(name: str, value: str) -> bool:
    """Whether an argument has the value 1. Raises InvalidRequest unless it is 0 or 1."""
    if value not in _FLAGS:
        raise InvalidRequest(name, "must be 0 or 1", "range")
    return _FLAGS[value]
