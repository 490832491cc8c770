"""The record of one request: what headers, metrics and the access log tell of it.

It travels in the WSGI environ. Nothing in it is personal data.
"""

from collections.abc import Mapping
from typing import Any, Final

ENVIRON_KEY: Final = "scoring.record"


class Record:
    """Filled in as the request goes through the rooms; times are seconds."""

    __slots__ = (
        "decode_seconds",
        "features_seconds",
        "key_name",
        "model_version",
        "predict_seconds",
        "request_id",
        "route",
        "rows",
        "warnings",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.route = "unmatched"
        self.key_name = ""
        self.model_version = ""
        self.rows = 0
        self.warnings: tuple[str, ...] = ()
        self.decode_seconds = self.features_seconds = self.predict_seconds = 0.0


def record_of(environ: Mapping[str, Any]) -> Record:
    """The record of the request with this environ."""
    record: Record = environ[ENVIRON_KEY]
    return record
