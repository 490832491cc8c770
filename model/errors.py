"""Errors of the package `model`.

    ScoringError
    ├── InvalidRequest      the caller's fault: one field, one reason
    │   ├── TooManyRows     an array longer than is accepted
    │   └── NotUtf8         a body in another encoding
    ├── ModelRefused        the model file's fault: it is not served
    │   ├── GateRefused     a version that differs too much, or is worse than the live one
    │   └── ExtraMissing    a model whose libraries are not installed
    ├── NoDecoder           a picture that no process can decode now; a later call may succeed
    ├── UnknownModel        a name that is not in the catalog
    ├── DataRefused         labelled rows that no model can be trained on
    ├── ParametersRefused   hyper-parameters that can't be used
    └── NotExplained        a score whose contributions could not be computed
        ├── Unexplainable   the model's scores have no contributions
        └── ExplainerGone   its process could not be started or ended; a later call may succeed

No HTTP status here: the caller decides what each means to its client.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

# missing field; wrong JSON type; number out of range; text too long; category that
# the model never saw; letters that only look like a plate's; list that does not fit its reading;
# time that no plate was read at; readings that agree; text that can't be read as what it should
# be; too many rows.
KINDS: Final = (
    *("missing", "type", "range", "length", "unseen", "lookalike"),
    *("mismatch", "implausible", "agree", "unreadable", "count"),
)


class ScoringError(Exception):
    """Root of all errors that the package raises on purpose."""


class InvalidRequest(ScoringError):
    """A request that can't be scored.

    `field` names the offending field ("" when the body as a whole is at fault);
    `reason` says what is wrong and never repeats the value, since values are
    personal data; `kind` is one of `KINDS`, for counting.
    """

    def __init__(self, field: str, reason: str, kind: str = "unreadable") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason
        self.kind = kind


class TooManyRows(InvalidRequest):
    """An array of more rows than `limit`."""

    def __init__(self, limit: int) -> None:
        super().__init__("", f"an array may hold at most {limit} rows", "count")
        self.limit = limit


class NotUtf8(InvalidRequest):
    """A body in another encoding than UTF-8."""

    def __init__(self) -> None:
        super().__init__("", "the body is not UTF-8")


class ModelRefused(ScoringError):
    """A file that is not a model, or a model that this project can't serve truthfully."""


class ExtraMissing(ModelRefused):
    """A model whose libraries are not installed: the text names the extra."""


class NoDecoder(ScoringError):
    """No process to decode a picture is free, or can be started, now."""


class UnknownModel(ScoringError):
    """A name that is not in the catalog."""


class Breach(NamedTuple):
    """A reason not to serve a version, and the name of the limit that it exceeds, "" for none."""

    reason: str
    limit: str = ""


class GateRefused(ModelRefused):
    """A version that can be served, and that a gate refuses for one or more `breaches`."""

    def __init__(self, breaches: Sequence[Breach]) -> None:
        super().__init__("; ".join(breach.reason for breach in breaches))
        self.breaches = list(breaches)


class DataRefused(ScoringError):
    """Labelled rows from which no model can be trained and measured truthfully."""


class ParametersRefused(ScoringError):
    """A file of hyper-parameters with an unknown key or a value out of bounds."""


class NotExplained(ScoringError):
    """Contributions that could not be worked out; not `in_time` if only time was lacking."""

    def __init__(self, reason: str, *, in_time: bool = True) -> None:
        super().__init__(reason)
        self.in_time = in_time


class Unexplainable(NotExplained):
    """A model whose scores can't be explained, for a reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this model can't be explained: {reason}")


class ExplainerGone(NotExplained):
    """No process can be made or kept now that works out contributions."""
