"""/decisions and /feedback: who may see decisions, what is shown, and what feedback adds."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from model.regno import golden
from service.decisions import proof
from service.decisions.decision import Event, Feedback, decode, encode
from service.decisions.log import DecisionLog
from service.decisions.merkle.note import verifier_of
from service.web import decision_log
from tests.support.decisions import REGNO, decision, filled, opened
from tests.support.web import OTHER_HEADER, Web, body_of, reason_of

PLATE = golden.readings()[0].afts_regno_ai


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A log with eight decisions, the last two of the rows of one request."""
    made = filled(tmp_path / "decisions", 6)
    automatic = {"audited": True, "decision": "network", "version": "v2"}
    made.append(
        [opened(made, decision(6, 1_900_000_000.0, row=row, **automatic)) for row in (0, 1)]
    )
    yield made
    made.close()


@pytest.fixture
def reviewed(make_web: Callable[..., Web], log: DecisionLog) -> Web:
    """An app where the usual key may see decisions, and another may not."""
    return make_web(reviewers="desk, example", decisions_dir=str(log.folder))


def give(web: Web, *labels: Any, **rest: Any) -> TestResponse:
    return web.call("POST", "/feedback", json=labels[0] if len(labels) == 1 else labels, **rest)


def events(log: DecisionLog) -> list[dict[str, str]]:
    """The accesses that the log has noted."""
    found = [decode(log.canonical(row)) for row in log.store.rows("kind = 'access'")]
    return [one.data for one in found if isinstance(one, Event)]


def labels_of(log: DecisionLog) -> list[Feedback]:
    found = [decode(log.canonical(row)) for row in log.store.rows("kind = 'feedback'")]
    return [one for one in found if isinstance(one, Feedback)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/decisions"),
        ("GET", "/decisions/request-1"),
        ("GET", "/decisions/request-1/proof"),
        ("POST", "/feedback"),
    ],
)
def test_only_keys_with_the_right_may_and_only_where_there_is_a_log(
    make_web: Callable[..., Web], log: DecisionLog, method: str, path: str
) -> None:
    given = {"request_id": "request-1", "outcome": "camera"} if method == "POST" else None
    web = make_web(reviewers="other", decisions_dir=str(log.folder))
    refused = web.call(method, path, json=given)
    assert (refused.status_code, reason_of(refused)) == (
        403,
        "SCORING_REVIEWERS does not name this key",
    )
    assert web.client.open(path, method=method, json=given).status_code == 401
    assert web.client.open(path, method=method, json=given, headers=OTHER_HEADER).status_code == 200
    away = make_web(reviewers="example").call(method, path, json=given)
    assert (away.status_code, reason_of(away)) == (
        501,
        "there is no decision log: set SCORING_DECISIONS_DIR",
    )


def test_a_decision_is_shown_and_the_access_is_kept(reviewed: Web, log: DecisionLog) -> None:
    reply = reviewed.call("GET", "/decisions/request-1")
    shown = body_of(reply)
    assert (shown["entry"], shown["feedback"]) == (1, [])
    assert shown["decision"] == json.loads(encode(decision(1)))
    assert reply.headers["Cache-Control"] == "no-store"
    assert events(log) == [{"key": "example", "index": "1"}]
    assert body_of(reviewed.call("GET", "/decisions/request-6?row=1"))["entry"] == 7
    assert list(log.check()) == []


def test_a_proof_verifies_without_the_log(reviewed: Web, log: DecisionLog) -> None:
    reply = reviewed.call("GET", "/decisions/request-2/proof")
    found = proof.verified(reply.data, verifier_of(log.verifier_key))
    assert (found.index, found.entry) == (2, encode(decision(2)).decode())
    assert events(log) == [{"key": "example", "index": "2"}]


def test_what_is_not_there_or_forgotten_is_named(reviewed: Web, log: DecisionLog) -> None:
    with log.locked():
        log.forget(REGNO.mark(PLATE))
    for path in ("", "/proof"):
        gone = reviewed.call("GET", f"/decisions/request-0{path}")
        assert (gone.status_code, reason_of(gone)) == (
            410,
            "request-0:0: the decision was forgotten",
        )
        unknown = reviewed.call("GET", f"/decisions/request-6{path}?row=2")
        assert (unknown.status_code, reason_of(unknown)) == (
            404,
            "request-6:2: there is no such decision",
        )
        plate = reviewed.call("GET", f"/decisions/A123BC77{path}")
        assert (plate.status_code, reason_of(plate)) == (404, "there is no such decision")
    assert events(log) == []


def test_a_list_has_no_plates_and_goes_on_where_it_ended(reviewed: Web, log: DecisionLog) -> None:
    def listed(query: str) -> Any:
        return body_of(reviewed.call("GET", f"/decisions?{query}"))

    first = listed("limit=3")
    assert [one["entry"] for one in first["decisions"]] == [7, 6, 5]
    assert (first["next"], first["decisions"][0]) == (
        5,
        {
            "entry": 7,
            "request_id": "request-6",
            "row": 1,
            "time": "2030-03-17T17:46:40.000Z",
            "version": "v2",
            "decision": "network",
            "positive": 0.25,
            "audit_probability": 0.01,
        },
    )
    rest = listed("limit=100&after=5")
    assert ([one["entry"] for one in rest["decisions"]], rest["next"]) == ([4, 3, 2, 1, 0], None)
    for query, count in (
        ("version=v2", 2),
        ("decision=manual", 6),
        ("audited=1", 2),
        ("until=2029-01-01", 6),
        ("version=&decision=&since=", 8),
        ("since=2029-01-01T00:00Z&decision=manual", 0),
    ):
        assert len(listed(query)["decisions"]) == count, query
    with log.locked():
        log.forget(REGNO.mark(PLATE))
    assert listed("after=1")["decisions"][0]["forgotten"] is True
    assert PLATE not in reviewed.call("GET", "/decisions").text


def test_feedback_is_added_once(reviewed: Web, log: DecisionLog) -> None:
    reading = golden.readings()[1].regno_recognize
    labels = (
        {"request_id": "request-1", "true_reading": reading, "source": "court"},
        {"request_id": "request-6", "row": 1, "outcome": "neither"},
    )
    assert body_of(give(reviewed, *labels)) == {"labelled": 2, "repeated": 0}
    assert body_of(give(reviewed, *labels)) == {"labelled": 0, "repeated": 2}
    assert [(one.row, one.outcome, one.source) for one in labels_of(log)] == [
        (0, "camera", "example/court"),
        (1, "neither", "example"),
    ]
    changed = {**labels[1], "outcome": "camera"}
    assert body_of(give(reviewed, changed)) == {"labelled": 1, "repeated": 0}
    assert body_of(give(reviewed, labels[1])) == {"labelled": 1, "repeated": 0}
    said = body_of(reviewed.call("GET", "/decisions/request-6?row=1"))["feedback"]
    assert [one["outcome"] for one in said] == ["neither", "camera", "neither"]
    stored = b"".join(each.read_bytes() for each in log.folder.rglob("*") if each.is_file())
    assert reading.encode() not in stored


def test_an_id_that_is_used_again_has_labels_of_its_own(reviewed: Web, log: DecisionLog) -> None:
    label = {"request_id": "request-1", "outcome": "camera"}
    assert body_of(give(reviewed, label))["labelled"] == 1
    log.append([opened(log, decision(1))])
    assert body_of(give(reviewed, label))["labelled"] == 1


def test_labels_of_unknown_and_forgotten_decisions_add_nothing(
    reviewed: Web, log: DecisionLog
) -> None:
    with log.locked():
        log.forget(REGNO.mark(PLATE))
    good = {"request_id": "request-1", "outcome": "camera"}
    unknown = give(reviewed, good, {**good, "request_id": "other"})
    assert (unknown.status_code, reason_of(unknown)) == (404, "other:0: there is no such decision")
    gone = give(reviewed, good, {**good, "request_id": "request-0"})
    assert (gone.status_code, reason_of(gone)) == (410, "request-0:0: the decision was forgotten")
    assert labels_of(log) == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"outcome": "camera"}, "request_id: is missing"),
        ({"request_id": "request-1"}, "outcome or true_reading: exactly one"),
        ({"request_id": "r", "outcome": "camera", "true_reading": "x"}, "outcome or true_reading"),
        ({"request_id": "request-1", "outcome": "right"}, "outcome: must be network, camera or"),
        ({"request_id": "request-1", "outcome": None}, "outcome: must be network, camera or"),
        ({"request_id": "x y", "outcome": "camera"}, "request_id: must be the id of a request"),
        ({"request_id": "r", "row": -1, "outcome": "camera"}, "row: must be a whole number"),
        ({"request_id": "r", "true_reading": ""}, "true_reading: must be a text of 1 to 32"),
        ({"request_id": "r", "outcome": "camera", "source": "a\tb"}, "source: must be 1 to 100"),
        ({"request_id": "r", "outcome": "camera", "source": "A123BC77"}, "source: must not be a"),
        ({"request_id": "r", "outcome": "camera", "why": "x"}, "only these fields are known"),
        ([], "the body must have 1 to 1000 labels"),
        ([1], "each label must be an object"),
        (1, "each label must be an object"),
    ],
)
def test_what_is_no_label_is_named(reviewed: Web, given: Any, reason: str) -> None:
    reply = give(reviewed, given)
    assert reply.status_code == 400
    assert reason_of(reply).startswith(reason)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "limit: must be a whole number, 1 to 1000"),
        ("after=x", "after: must be a whole number"),
        ("audited=2", "audited: must be a whole number, 0 to 1"),
        ("since=yesterday", "since: must be a time such as 2026-11-30, or an age such as 12h"),
        ("until=99999999999d", "until: must be a time"),
        ("plate=1", "plate: is not known here"),
    ],
)
def test_arguments_that_can_not_be_used_are_named(reviewed: Web, query: str, reason: str) -> None:
    reply = reviewed.call("GET", f"/decisions?{query}")
    assert reply.status_code == 400
    assert reason_of(reply).startswith(reason)


def test_bodies_of_other_types_and_lengths_are_refused(reviewed: Web) -> None:
    text = reviewed.call("POST", "/feedback", data=b"{}", content_type="text/csv")
    assert text.status_code == 415
    assert give(reviewed, {"request_id": "x" * 600_000}).status_code == 413
    broken = reviewed.call("POST", "/feedback", data=b"{", content_type="application/json")
    assert (broken.status_code, reason_of(broken)) == (400, "the body is not JSON")


def test_while_the_log_is_in_use_nothing_waits_for_long(
    reviewed: Web, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "_LOCK_SECONDS", 0.05)
    with log.locked():
        for reply in (
            reviewed.call("GET", "/decisions/request-1"),
            give(reviewed, {"request_id": "request-1", "outcome": "camera"}),
        ):
            assert (reply.status_code, reason_of(reply)) == (
                503,
                "the decision log is in use by another process",
            )
            assert "Retry-After" in reply.headers
        assert reviewed.call("GET", "/decisions").status_code == 200
    assert (labels_of(log), events(log)) == ([], [])


def test_a_damaged_log_is_no_fault_of_the_caller(reviewed: Web, log: DecisionLog) -> None:
    (archive,) = (log.folder / "archive").iterdir()
    archive.write_bytes(b"x" * archive.stat().st_size)
    reply = reviewed.call("GET", "/decisions/request-1")
    assert (reply.status_code, reason_of(reply)) == (500, "the decision log is damaged")
    assert events(log) == []
