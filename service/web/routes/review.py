"""/review: decisions that people review, one at a time; and the evidence pack of a decision."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import Any, Final

from flask import Blueprint, Response, request

from service.decisions import feedback, proof
from service.decisions.decision import OUTCOMES, Decision, decode
from service.decisions.log import DecisionLog
from service.decisions.reasons import Explained, Reasons
from service.decisions.review import Case, NotHeld, ReviewQueue, comparison_of
from service.decisions.store import Row
from service.http.errors import Refused
from service.telemetry.log_formats import timestamp
from service.telemetry.record import record_of
from service.web import pages
from service.web.arguments import check_known
from service.web.decision_log import ReviewedLog, found
from service.web.routes.decisions import DECISIONS, row_argument
from service.web.sessions import Sessions

REVIEW: Final = "/review"
SKIP: Final = "skip"
# What the page says of an answer that came too late.
_LATE: Final = "late"
# An answer, its name on the button, and the keys that give it.
_ANSWERS: Final = (
    ("network", "Network", "n 1"),
    ("camera", "Camera", "c 2"),
    ("neither", "Neither", "x 3"),
    (SKIP, "Skip", "s 4"),
)
_LAST: Final = "last"
_LONGEST_NUMBER: Final = 15
# No plate is longer; what is behind is left out.
_PLACES: Final = 24


class ReviewPages:
    """The pages of reviewers."""

    def __init__(self, reviewed: ReviewedLog, explained: Explained) -> None:
        self._reviewed = reviewed
        self._explained = explained

    def admit(self) -> None:
        """Admit the current request if its key may see decisions. Raises Refused."""
        self._reviewed.check(_key())

    def show(self) -> Response:
        """The case that the reviewer holds, or the next one, once it is noted who has seen it."""
        check_known(request.args, (_LAST,))
        with self._queue() as (opened, queue):
            queue.take_in()
            case = queue.next(_key())
            figures = queue.figures()
            if case and (row := opened.store.row(case.entry)):
                self._reviewed.note_access(opened, _key(), row)
        return pages.page(
            "review.html",
            figures=figures,
            last=request.args.get(_LAST, ""),
            answers=_ANSWERS,
            **self._case(case),
        )

    def answer(self) -> Response:
        """Take the answer to a case, and show the next one."""
        index, answer = _answer(pages.form_fields())
        with self._queue() as (_, queue):
            try:
                if answer == SKIP:
                    queue.skip(_key(), index)
                else:
                    queue.answer(_key(), index, answer)
            except NotHeld:
                answer = _LATE
        return Response(status=303, headers={"Location": f"{REVIEW}?{_LAST}={answer}"})

    def evidence(self, request_id: str) -> Response:
        """All that is known of a decision, once it is noted who has seen it."""
        check_known(request.args, ("row",))
        number = row_argument()
        with self._reviewed.opened() as opened:
            try:
                row, canonical = found(opened, request_id, number)
            except Refused as refused:
                if refused.status != 410:
                    raise
                return pages.page("evidence.html", 410, name=f"{request_id}:{number}")
            entry = decode(canonical)
            if not isinstance(entry, Decision):
                raise Refused(404, "there is no such decision")
            self._reviewed.note_access(opened, _key(), row)
            proved = _proved(opened, row)
        return pages.page(
            "evidence.html",
            decision=entry,
            compared=comparison_of(entry),
            reasons=self._explained.of(entry),
            decided=timestamp(entry.time),
            now=timestamp(time()),
            shown=_PLACES,
            **proved,
        )

    @contextmanager
    def _queue(self) -> Iterator[tuple[DecisionLog, ReviewQueue]]:
        """The log and its queue, for this request. Raises Refused."""
        with self._reviewed.opened() as opened:
            queue = ReviewQueue(opened)
            try:
                yield opened, queue
            finally:
                queue.close()

    def _case(self, case: Case | None) -> dict[str, Any]:
        """What the template shows of a case. Neither its score nor its decision is in it."""
        if case is None:
            return {"case": None}
        reasons = self._explained.of(case.decision)
        return {
            "case": case,
            "compared": comparison_of(case.decision),
            "reasons": Reasons(reasons.network, reasons.camera, missing=reasons.missing),
            "decided": timestamp(case.decision.time),
            "shown": _PLACES,
        }


def blueprint(routes: ReviewPages, sessions: Sessions) -> Blueprint:
    """The addresses; each needs a session or a key, and the right."""
    review = pages.blueprint("review")
    sessions.protect(review)
    review.before_request(routes.admit)
    for path, view, method in (
        (REVIEW, routes.show, "GET"),
        (REVIEW, routes.answer, "POST"),
        (f"{DECISIONS}/<request_id>/evidence", routes.evidence, "GET"),
    ):
        review.add_url_rule(path, view.__name__, view, methods=[method])
    return review


def _key() -> str:
    return record_of(request.environ).key_name


def _answer(fields: dict[str, str]) -> tuple[int, str]:
    """The case and the answer of a form. Raises Refused."""
    case, answer = fields.get("case", ""), fields.get("answer", "")
    if not (case.isascii() and case.isdigit() and len(case) <= _LONGEST_NUMBER):
        raise Refused(400, "case: must be a whole number")
    if answer not in (*OUTCOMES, SKIP):
        raise Refused(400, f"answer: must be one of {', '.join((*OUTCOMES, SKIP))}")
    return int(case), answer


def _proved(opened: DecisionLog, row: Row) -> dict[str, Any]:
    """The proof of a decision, and what was said of it, for the template."""
    made = proof.of(opened, row)
    return {
        "proof": made,
        "hashes": [b64encode(one).decode() for one in made.hashes],
        "key": opened.verifier_key,
        "said": [
            (timestamp(one.time), one.outcome, one.source) for one in feedback.about(opened, row)
        ],
    }
