"""What the log holds: decisions on rows, and events that explain them."""

from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw, Struct


class Decision(Struct, frozen=True, tag_field="type", tag="decision"):
    """A row that was scored, as it was scored.

    `request` is its JSON, guards applied, with the numbers that were scored. `row` is its place
    among the readable rows of the request. `features` is the fingerprint of its features, "" for
    entries of the version that kept none. `warnings` are the row's own. `limits` and
    `costs` are the thresholds and the cost matrix in force. `audit_probability` is the chance that
    this decision had of being drawn for review, whatever its score; `audited` says whether it was.
    `generation` is that of the registry's aliases, 0 without one. `policy` is what would have
    happened had the spool been full. Times are seconds of the epoch.
    """

    request_id: str
    row: int
    time: float
    key_name: str
    model: str
    version: str
    sha256: str
    code: str
    generation: int
    request: Raw
    positive: float
    decision: str
    limits: dict[str, float]
    costs: dict[str, float]
    warnings: tuple[str, ...]
    policy: str
    audit_probability: float
    audited: bool
    features: str = ""


class Event(Struct, frozen=True, tag_field="type", tag="event"):
    """Something that happened beside decisions.

    `kind` is start, stop, swap, change (of a setting), override (of a refusal to promote), access,
    forget, retention or damage: those that the logging standards behind article 12 of the AI Act
    name. `data` says what.
    """

    time: float
    kind: str
    data: dict[str, str]


class Feedback(Struct, frozen=True, tag_field="type", tag="feedback"):
    """What came of a decision: whose reading was right, and who says so."""

    time: float
    request_id: str
    row: int
    outcome: str
    source: str


Entry: TypeAlias = Decision | Event | Feedback

# Whose reading was right.
OUTCOMES: Final = ("network", "camera", "neither")

_decoder = msgspec.json.Decoder(Entry)
encode = msgspec.json.Encoder().encode


def decode(canonical: bytes) -> Entry:
    """The entry of its canonical bytes, which are those that `encode` makes."""
    found: Any = _decoder.decode(canonical)
    entry: Entry = found
    return entry
