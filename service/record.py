"""The record of one request: what headers, metrics and the access log tell of it.

It travels in the WSGI environ. Nothing in it is personal data.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

ENVIRON_KEY: Final = "scoring.record"


class Record:
    """Filled in as the request goes through the rooms; times are seconds."""

    __slots__ = (
        "decode_seconds",
        "encode_seconds",
        "features_seconds",
        "key_name",
        "model_version",
        "predict_seconds",
        "request_id",
        "route",
        "rows",
        "wait_seconds",
        "warnings",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.route = ""
        self.key_name = ""
        self.model_version = ""
        self.rows = 0
        self.warnings: dict[str, None] = {}  # a set that keeps the order
        self.decode_seconds = self.features_seconds = 0.0
        self.wait_seconds = self.predict_seconds = self.encode_seconds = 0.0

    def warn(self, warnings: Iterable[str]) -> None:
        """Note what makes a score doubtful; each kind is told once."""
        self.warnings.update(dict.fromkeys(warnings))


def record_of(environ: Mapping[str, Any]) -> Record:
    """The record of the request with this environ."""
    record: Record = environ[ENVIRON_KEY]
    return record
