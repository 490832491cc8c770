"""/decisions and /feedback: what was decided, with its proof, and what people say of it."""

from itertools import islice
from typing import Annotated, Any, Final, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from model.redaction import may_be_plate
from model.utf8 import body_text
from service.decisions import feedback, proof
from service.decisions.choice import condition, moment
from service.decisions.decision import Feedback
from service.decisions.feedback import Label
from service.decisions.log import DecisionLog
from service.decisions.store import Row
from service.http import reply
from service.http.errors import Refused
from service.http.reply import Reply
from service.telemetry.log_formats import timestamp
from service.telemetry.record import record_of
from service.web.arguments import check_known
from service.web.decision_log import ReviewedLog, found
from service.web.inputs import JSON
from service.web.sessions import Sessions

DECISIONS: Final = "/decisions"
FEEDBACK: Final = "/feedback"
USUALLY_LISTED: Final = 100
MOST_LISTED: Final = 1000
GREATEST: Final = 2**53 - 1
MOST_LABELS: Final = 1000
_LONGEST_BODY: Final = 512 * 1024
REQUEST_ID: Final = r"^[A-Za-z0-9._:-]{1,128}$"

_RULES: Final = {
    "request_id": "must be the id of a request",
    "row": "must be a whole number, 0 to 1000000",
    "outcome": "must be network, camera or neither",
    "true_reading": "must be a text of 1 to 32 characters",
    "source": "must be 1 to 100 letters, digits or . _ @ - and blanks",
}

RequestId = Annotated[str, Meta(pattern=REQUEST_ID)]


class DecisionLine(Struct):
    """A decision without its plates.

    `audit_probability` is there if it was drawn for review; `forgotten`, that nobody can read it.
    """

    entry: int
    request_id: str
    row: int
    time: str
    version: str
    decision: str
    positive: float
    audit_probability: float | UnsetType = UNSET
    forgotten: bool | UnsetType = UNSET


class DecisionList(Struct):
    """Some decisions, newest first; `next` is the `after` of the following page."""

    decisions: list[DecisionLine]
    next: int | None


class FeedbackShown(Struct):
    """What a source says of a decision."""

    time: str
    outcome: str
    source: str


class DecisionShown(Struct):
    """A decision as it was logged, and what was said of it since."""

    entry: int
    decision: Raw
    feedback: list[FeedbackShown]


class GivenLabel(Struct, forbid_unknown_fields=True):
    """Feedback on a decision: its outcome or the true reading, one of both.

    `row` is the place in the array of the request. `source` is who or what says so.
    """

    request_id: RequestId
    row: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    outcome: Literal["network", "camera", "neither"] | UnsetType = UNSET
    true_reading: Annotated[str, Meta(min_length=1, max_length=32)] | UnsetType = UNSET
    source: Annotated[str, Meta(pattern="^[A-Za-z0-9._@ -]{1,100}$")] | UnsetType = UNSET


class FeedbackCounts(Struct):
    """How many labels were added, and how many their sources had given before."""

    labelled: int
    repeated: int


class DecisionRoutes:
    """Translates requests into reads and labels of the log."""

    def __init__(self, reviewed: ReviewedLog) -> None:
        self._reviewed = reviewed

    def admit(self) -> None:
        """Admit the current request if its key may see decisions. Raises Refused."""
        self._reviewed.check(_key())

    def list(self) -> Reply:
        """Decisions, newest first, without their plates."""
        check_known(
            request.args, ("since", "until", "version", "decision", "audited", "after", "limit")
        )
        text, values = condition(
            _moment("since"),
            _moment("until"),
            request.args.get("version") or None,
            request.args.get("decision") or None,
            audited=_number("audited", 0, 0, 1) == 1,
        )
        after, limit = _number("after", GREATEST), _number("limit", USUALLY_LISTED, 1, MOST_LISTED)
        text = f"kind = 'decision' AND idx < ? AND {text}"
        with self._reviewed.opened() as opened:
            rows = opened.store.rows(text, after, *values, order="idx DESC")
            some = list(islice(rows, limit + 1))
        shown = some[:limit]
        following = shown[-1].entry if len(some) > limit else None
        return reply.ok(DecisionList([_line(row) for row in shown], following))

    def show(self, request_id: str) -> Reply:
        """A decision with its plates, once it is noted who has seen it."""
        check_known(request.args, ("row",))
        with self._reviewed.opened() as opened:
            row, canonical = found(opened, request_id, row_argument())
            said = [
                FeedbackShown(timestamp(one.time), one.outcome, one.source)
                for one in feedback.about(opened, row)
            ]
            self._reviewed.note_access(opened, _key(), row)
        return reply.ok(DecisionShown(row.entry, Raw(canonical), said))

    def prove(self, request_id: str) -> Response:
        """The proof of a decision, as `decisions verify` takes it; it holds the plates."""
        check_known(request.args, ("row",))
        with self._reviewed.opened() as opened:
            row, _ = found(opened, request_id, row_argument())
            self._reviewed.note_access(opened, _key(), row)
            made = proof.encode(proof.of(opened, row))
        return Response(made, content_type=JSON)

    def feedback(self) -> Reply:
        """Take labels, all or none; a label that its source has given before adds nothing."""
        check_known(request.args, ())
        given = _labels()
        with self._reviewed.changing() as opened:
            said = [_feedback(opened, _label(one)) for one in given]
            labelled = feedback.add(opened, said)
        return reply.ok(FeedbackCounts(labelled, len(said) - labelled))


def blueprint(routes: DecisionRoutes, sessions: Sessions) -> Blueprint:
    """The addresses; each needs a key or a session, and the right."""
    decisions = Blueprint("decisions", __name__)
    sessions.protect(decisions)
    decisions.before_request(routes.admit)
    one = f"{DECISIONS}/<request_id>"
    rules: tuple[tuple[str, Any, str], ...] = (
        (DECISIONS, routes.list, "GET"),
        (one, routes.show, "GET"),
        (f"{one}/proof", routes.prove, "GET"),
        (FEEDBACK, routes.feedback, "POST"),
    )
    for path, view, method in rules:
        decisions.add_url_rule(path, view.__name__, view, methods=[method])
    decisions.after_request(_not_stored)
    return decisions


def _not_stored(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _key() -> str:
    return record_of(request.environ).key_name


def _line(row: Row) -> DecisionLine:
    return DecisionLine(
        row.entry,
        row.request_id,
        row.row,
        timestamp(row.time),
        row.version,
        row.decision,
        row.positive or 0.0,
        row.audited or UNSET,
        UNSET if row.salt else True,
    )


def row_argument() -> int:
    """The `row` of the current request, 0 without one. Raises Refused."""
    return _number("row", 0, 0, 1_000_000)


def _number(name: str, usual: int, least: int = 0, most: int = GREATEST) -> int:
    text = request.args.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise Refused(400, f"{name}: must be a whole number, {least} to {most}")
    return int(text)


def _moment(name: str) -> float | None:
    text = request.args.get(name)
    if not text:  # as a form sends a field that is not filled in
        return None
    try:
        return moment(text)
    except ValueError as error:
        raise Refused(400, f"{name}: {error}") from None


def _labels() -> list[GivenLabel]:
    """The labels in the body of the current request. Raises Refused or NotUtf8."""
    request.max_content_length = _LONGEST_BODY
    if request.mimetype != JSON:
        raise Refused(415, f"Content-Type must be {JSON}")
    text = body_text(request.get_data(cache=False)).removeprefix("\ufeff")
    many = text.lstrip().startswith("[")
    try:
        if not many:
            return [msgspec.json.decode(text, type=GivenLabel)]
        given = msgspec.json.decode(text, type=list[GivenLabel])
    except msgspec.ValidationError as error:
        raise Refused(400, _reason(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not 1 <= len(given) <= MOST_LABELS:
        raise Refused(400, f"the body must have 1 to {MOST_LABELS} labels")
    return given


def _label(given: GivenLabel) -> Label:
    """A label that is complete, its source with the name of the key. Raises Refused."""
    outcome = "" if given.outcome is UNSET else given.outcome
    reading = "" if given.true_reading is UNSET else given.true_reading
    if bool(outcome) == bool(reading):
        raise Refused(400, "outcome or true_reading: exactly one of both is needed")
    source = _key() if given.source is UNSET else f"{_key()}/{given.source.strip()}"
    if may_be_plate(source):
        raise Refused(400, "source: must not be a plate")
    return Label(given.request_id, given.row, outcome, reading, source)


def _feedback(opened: DecisionLog, label: Label) -> Feedback:
    found(opened, label.request_id, label.row)
    return feedback.feedback_of(opened, label)


def _reason(error: msgspec.ValidationError) -> str:
    """The field and what is wrong with it, without the client's own words."""
    reason, _, path = str(error).partition(" - at `$")
    if "unknown field" in reason:
        return f"only these fields are known: {', '.join(GivenLabel.__struct_fields__)}"
    if "missing required field" in reason:
        return f"{reason.rpartition('field ')[2].strip('`')}: is missing"
    field = path.rstrip("`").rpartition(".")[2]
    return f"{field}: {_RULES[field]}" if field in _RULES else "each label must be an object"
