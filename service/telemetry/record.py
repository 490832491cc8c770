"""The record of one request: what headers, metrics, the access log and traces hold of it.

Nothing in it is personal data.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The key of the record in a WSGI environ.
ENVIRON_KEY: Final = "scoring.record"
# The key of the time at which the request's head was complete, by `perf_counter`.
BEGAN: Final = "scoring.began"

# The attributes of a record that hold the seconds of a stage, less their suffix.
STAGES: Final = ("decode", "features", "wait", "predict", "encode")

# The methods that are recorded by name: the parser accepts others too.
METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))


class Record(Struct, gc=False, eq=False):
    """Filled in while the request is answered; times are in seconds.

    `method` and `route` are from closed lists: what a client writes freely is in neither. `status`
    is that of the reply, `seconds` are those from the request's head to it. `echoed_id` is the id
    in the reply if it must not be in the log: only the client that sent it may see it.
    """

    request_id: str
    method: str = "other"
    route: str = ""
    key_name: str = ""
    model_version: str = ""
    body_bytes: int = 0
    rows: int = 0
    warnings: tuple[str, ...] = ()
    decode_seconds: float = 0.0
    features_seconds: float = 0.0
    wait_seconds: float = 0.0
    predict_seconds: float = 0.0
    encode_seconds: float = 0.0
    status: int = 0
    seconds: float = 0.0
    echoed_id: str = ""

    @property
    def replied_id(self) -> str:
        """The id that the reply names."""
        return self.echoed_id or self.request_id

    def warn(self, warnings: Iterable[str]) -> None:
        """Note what makes a score doubtful; each kind once, in order."""
        self.warnings = tuple(dict.fromkeys((*self.warnings, *warnings)))


def record_of(environ: "WSGIEnvironment") -> Record:
    """The record of the request with this environ."""
    record: Record = environ[ENVIRON_KEY]
    return record


def method_of(method: str) -> str:
    """A request's method, `other` if it is none of the known ones."""
    return method if method in METHODS else "other"


def route_of(environ: "WSGIEnvironment", routes: Collection[str]) -> str:
    """The route's template. Flask clears the request after the call: this is for during it.

    `routes` are all addresses that are not patterns, without a slash at their end.
    """
    # None where Flask did not see the request.
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    # Where the method is wrong there is no rule, but the address is one of ours all the same.
    path: str = rule.rule if rule is not None else environ.get("PATH_INFO", "unmatched")
    # `/reg/` and `/reg` are one route with two spellings.
    known = path.rstrip("/") or "/"
    return known if rule is not None or known in routes else "unmatched"
