"""What requests ask for in their query string."""

from typing import Final
from urllib.parse import parse_qs

from model import InvalidRequest

_DETAIL: Final = {"0": False, "1": True}


def wants_details(query: str) -> bool:
    """Whether a query string asks for details. Raises InvalidRequest unless it is by 0 or 1."""
    values = parse_qs(query, keep_blank_values=True, errors="replace").get("detail", ["0"])
    if len(values) > 1:
        raise InvalidRequest("detail", "is named twice")
    if values[0] not in _DETAIL:
        raise InvalidRequest("detail", "must be 0 or 1", "range")
    return _DETAIL[values[0]]
