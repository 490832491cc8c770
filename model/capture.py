"""What is captured of a live request, so that it can be trained on later."""

from typing import Any, NamedTuple


class Captured(NamedTuple):
    """A live request as it was scored.

    `request_id` is that of the access log and the reply; `row` is its place among the readable rows
    of that request, from 0. `captured` is a time of the epoch in seconds, `model` the version that
    scored.
    """

    request_id: str
    row: int
    captured: float
    model: str
    positive: float
    request: Any
