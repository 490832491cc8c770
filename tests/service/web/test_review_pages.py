"""The review desk and the evidence pack: what they show, and what they leave out."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry
from werkzeug.test import TestResponse

from service.config.settings import Settings
from service.decisions import feedback, review
from service.decisions.log import DecisionLog
from service.decisions.review import ReviewQueue
from service.telemetry.metrics.review import ReviewMetrics
from service.web import decision_log
from service.web.review_counts import ReviewCounts
from tests.support.decisions import decision, opened
from tests.support.web import OTHER_HEADER, Web

AUDITED: dict[str, Any] = {
    "decision": "network",
    "positive": 0.987654,
    "audited": True,
    "audit_probability": 0.0321,
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A log with a manual decision, and one on the same request that an audit drew."""
    made = DecisionLog(tmp_path / "decisions")
    manual, drawn = decision(0, 1.7e9), decision(0, 1.7e9 + 1, request_id="request-1", **AUDITED)
    made.append([opened(made, manual), opened(made, drawn)])
    yield made
    made.close()


@pytest.fixture
def desk(make_web: Callable[..., Web], log: DecisionLog) -> Web:
    """An app where the usual key may review."""
    return make_web(reviewers="example", decisions_dir=str(log.folder))


def case_of(page: TestResponse) -> str:
    (number,) = re.findall(r'name="case" value="(\d+)"', page.text)
    return str(number)


def answer(desk: Web, case: str, given: str) -> TestResponse:
    return desk.call("POST", "/review", data={"case": case, "answer": given})


def test_nothing_shows_which_case_an_audit_drew(desk: Web) -> None:
    manual = desk.call("GET", "/review")
    desk.call("POST", "/review", data={"case": case_of(manual), "answer": "skip"})
    drawn = desk.call("GET", "/review")
    assert (case_of(manual), case_of(drawn)) == ("0", "1")
    known = (("request-0", "request-1"), ("20.000Z", "21.000Z"), ('value="0"', 'value="1"'))
    for first, second in known:
        assert manual.text.count(first) == drawn.text.count(second) == 1
    same = manual.text
    for first, second in known:
        same = same.replace(first, second)
    assert same == drawn.text
    for shown in ("0.25", "0.98", "manual", "audit"):
        assert shown not in manual.text + drawn.text


def test_an_answer_leads_to_the_next_case(desk: Web, log: DecisionLog) -> None:
    sent = answer(desk, case_of(desk.call("GET", "/review")), "camera")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/review?last=camera")
    shown = desk.call("GET", sent.headers["Location"])
    assert "Your last answer: camera." in shown.text
    assert case_of(shown) == "1"
    (said,) = feedback.about(log, log.find("request-0"))
    assert (said.outcome, said.source) == ("camera", "example")
    again = answer(desk, "0", "network")
    assert again.headers["Location"] == "/review?last=late"
    assert "not yours any more" in desk.call("GET", "/review?last=late").text


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "case"),
        ({"case": "-1", "answer": "skip"}, "case"),
        ({"case": "٣", "answer": "skip"}, "case"),
        ({"case": "9" * 16, "answer": "skip"}, "case"),
        ({"case": "0"}, "answer"),
        ({"case": "0", "answer": "manual"}, "answer"),
    ],
)
def test_an_answer_that_is_none_is_refused(desk: Web, fields: dict[str, str], reason: str) -> None:
    desk.call("GET", "/review")
    refused = desk.call("POST", "/review", data=fields)
    assert refused.status_code == 400
    assert f"{reason.capitalize()}: must be" in refused.text
    assert refused.mimetype == "text/html"


@pytest.mark.parametrize("case", ["1", "77", "9" * 15])
def test_a_case_of_another_reviewer_or_of_none_takes_no_answer(
    desk: Web, case: str, log: DecisionLog
) -> None:
    queue = ReviewQueue(log)
    queue.take_in()
    for name in ("ann", "bob"):
        assert queue.next(name)
    queue.close()
    assert answer(desk, case, "network").headers["Location"] == "/review?last=late"
    assert list(feedback.about(log, log.find("request-1"))) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/review"), ("POST", "/review"), ("GET", "/decisions/request-0/evidence")],
)
def test_only_reviewers_and_only_where_there_is_a_log(
    make_web: Callable[..., Web], desk: Web, method: str, path: str
) -> None:
    assert desk.call(method, path, headers=OTHER_HEADER).status_code == 403
    assert make_web(reviewers="example").call(method, path).status_code == 501
    signed_out = desk.client.open(path, method=method)
    assert signed_out.status_code == 401
    assert "API key" in signed_out.text


def test_nothing_is_shown_or_answered_while_it_can_not_be_noted(
    desk: Web, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = desk.call("GET", "/review")
    monkeypatch.setattr(decision_log, "_LOCK_SECONDS", 0.0)
    monkeypatch.setattr(review, "_LOG_SECONDS", 0.0)
    with log.locked():
        for reply in (
            desk.call("GET", "/review"),
            desk.call("GET", "/decisions/request-0/evidence"),
            answer(desk, case_of(shown), "camera"),
        ):
            assert (reply.status_code, reply.mimetype) == (503, "text/html")
            assert "in use by another process" in reply.text
            assert "<mark>" not in reply.text
    assert answer(desk, case_of(shown), "camera").headers["Location"] == "/review?last=camera"


def test_the_link_is_for_reviewers(desk: Web) -> None:
    assert '<a href="/review">' in desk.call("GET", "/home/models").text
    assert "/review" not in desk.call("GET", "/home/models", headers=OTHER_HEADER).text


def test_evidence_shows_what_was_logged(desk: Web, log: DecisionLog) -> None:
    answer(desk, case_of(desk.call("GET", "/review")), "neither")
    shown = desk.call("GET", "/decisions/request-0/evidence")
    assert shown.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    for text in (
        *("Manual review", "<dd>0.25</dd>", "<dd>0.2</dd>", "<dd>0.8</dd>", "<dd>0.3</dd>"),
        *("version v1", "0" * 64, "2023-11-14T22:13:20.000Z", "<td>neither</td><td>example</td>"),
        *("No explanation: the version that decided is not there", log.verifier_key),
    ):
        assert text in shown.text
    drawn = desk.call("GET", "/decisions/request-1/evidence?row=0").text
    assert "yes, with probability 0.0321" in drawn
    assert "Nobody has reviewed it." in drawn
    for path, status in (
        ("/decisions/request-9/evidence", 404),
        ("/decisions/request-0/evidence?row=1", 404),
        ("/decisions/request-0/evidence?row=x", 400),
        ("/decisions/request-0/evidence?line=1", 400),
    ):
        assert desk.call("GET", path).status_code == status


def test_a_log_that_grows_faster_than_it_is_reviewed_is_counted_in_full(
    settings: Settings, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "_BATCH", 1)
    registry = CollectorRegistry()
    settings = structs.replace(settings, decisions_dir=str(log.folder))
    ReviewCounts(settings, ReviewMetrics(registry)).publish()
    assert registry.get_sample_value("scoring_review_waiting", {"answers": "0"}) == 2
    assert registry.get_sample_value("scoring_review_waiting", {"answers": "1"}) == 0
    oldest = registry.get_sample_value("scoring_review_oldest_seconds")
    assert oldest is not None
    assert oldest > 86_400 * 1000, "they are of 2023"


def test_without_a_log_nothing_is_made(settings: Settings, tmp_path: Path) -> None:
    settings = structs.replace(settings, decisions_dir=str(tmp_path / "none"))
    ReviewCounts(settings, ReviewMetrics(CollectorRegistry())).publish()
    assert list(tmp_path.iterdir()) == []
