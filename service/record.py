"""The record of one request: what headers, metrics and the access log tell of it.

It travels in the WSGI environ. Nothing in it is personal data.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

ENVIRON_KEY: Final = "scoring.record"

# The attributes of a record that hold the seconds of a stage, less their suffix.
STAGES: Final = ("decode", "features", "wait", "predict", "encode")

_ROUTES: Final = frozenset(
    ("/", "/reg", "/reg/explain", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")
)

# The methods that are told by name: the server lets any word pass, a plate in Latin letters too.
METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))


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


def method_of(environ: Mapping[str, Any]) -> str:
    """The request's method, `other` if it is none of the known ones."""
    method: str = environ["REQUEST_METHOD"]
    return method if method in METHODS else "other"


def route_of(environ: Mapping[str, Any]) -> str:
    """The route's template. Flask clears the request after the call: this is for during it."""
    request = environ.get("werkzeug.request")
    rule = request.url_rule if request is not None else None
    # Where the method is wrong there is no rule, but the address is one of ours all the same.
    path: str = rule.rule if rule is not None else environ.get("PATH_INFO", "unmatched")
    # `/reg/` and `/reg` are one route with two spellings.
    known = path.rstrip("/") or "/"
    return known if rule is not None or known in _ROUTES else "unmatched"
