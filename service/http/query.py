"""The argument `detail` of requests, in the query string of HTTP or wherever else it stands."""

from typing import Final
from urllib.parse import parse_qs

from model import InvalidRequest

_DETAIL: Final = {"0": False, "1": True}


def wants_details(query: str) -> bool:
    """Whether a query string asks for details. Raises InvalidRequest unless it is by 0 or 1."""
    values = parse_qs(query, keep_blank_values=True, errors="replace").get("detail", ["0"])
    if len(values) > 1:
        raise InvalidRequest("detail", "is named twice")
    return is_detail(values[0])


def is_detail(value: str) -> bool:
    """Whether a value of `detail` asks for details. Raises InvalidRequest unless it is 0 or 1."""
    if value not in _DETAIL:
        raise InvalidRequest("detail", "must be 0 or 1", "range")
    return _DETAIL[value]
