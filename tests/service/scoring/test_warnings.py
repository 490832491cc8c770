"""Doubts about a score are reported with it: in headers, details, metrics, guards."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from model.regno import MANY, RegnoScorer
from tests.support.metrics import values
from tests.support.parts import AppMaker
from tests.support.server import KEY_HEADER, METRICS_TOKEN

pytestmark = pytest.mark.usefixtures("no_explainer_is_left")

Body = dict[str, Any]
_CHARACTERS, _LENGTHS = "afts_regno_ai_char_scores", "afts_regno_ai_length_scores"
_COMMAS = "[0,99, 0,98, 0,97, 0,96, 0,95, 0,94, 0,93, 0,92]"
# A change of a reading that has no warning, and the warnings that it brings.
CHANGES: dict[str, tuple[Body, list[str]]] = {
    "commas": (
        {_CHARACTERS: _COMMAS},
        [f"out-of-range:{_CHARACTERS}", f"length-mismatch:{_CHARACTERS}"],
    ),
    "per cent": ({_CHARACTERS: [99.0] * 8}, [f"out-of-range:{_CHARACTERS}"]),
    "negative": ({_LENGTHS: [-1e-3, *[0.0] * 9, 1.0]}, [f"out-of-range:{_LENGTHS}"]),
    "too few": ({_CHARACTERS: [0.9] * 7}, [f"length-mismatch:{_CHARACTERS}"]),
    "no length": ({_LENGTHS: [0.1] * 8}, [f"length-mismatch:{_LENGTHS}"]),
    "placeholder": ({"time_check": "1970-01-01 00:00:00"}, ["implausible-time:time_check"]),
    "far": ({"time_check": "2099-01-01"}, ["implausible-time:time_check"]),
    "same": ({"regno_recognize": "СК016613"}, ["readings-agree"]),
    "latin": ({"regno_recognize": "A939HO196"}, ["lookalike-letters:regno_recognize"]),
    "short": ({"regno_recognize": "А93"}, ["out-of-range:regno_recognize"]),
    "unseen": ({"camera_class": "Неведомая"}, ["unseen-category:camera_class"]),
}
KINDS = [kind for kind in CHANGES if kind != "unseen"]


@pytest.fixture
def known(request_body: Body) -> Body:
    return {**request_body, "camera_class": "Стрелка", "camera_type": "Передвижная"}


@pytest.fixture
def client(make_app: AppMaker) -> FlaskClient:
    return make_app(metrics_token=METRICS_TOKEN).test_client()


def _post(client: FlaskClient, body: object, path: str = "/reg/") -> TestResponse:
    return client.post(path, json=body, headers=KEY_HEADER)


def _header(reply: TestResponse) -> list[str]:
    assert reply.status_code == 200
    header = reply.headers.get("X-Score-Warnings", "")
    return header.split(", ") if header else []


def _counted(client: FlaskClient) -> dict[str, float]:
    """By warning, as in the header."""
    counts = {}
    for labels, count in values(client, "scoring_warnings_total").items():
        field, kind = (part.partition("=")[2].strip('"') for part in labels.split(","))
        counts[f"{kind}:{field}".rstrip(":")] = count
    return counts


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("rows", [0, 3, MANY])
def test_header_and_metric_are_the_same_alone_in_rows_and_in_a_table(
    rows: int, change: str, client: FlaskClient, known: Body
) -> None:
    changed, warnings = CHANGES[change]
    odd = {**known, **changed}
    assert _header(_post(client, known)) == []
    # Among rows that have none.
    body = [known, *[odd] * rows, known] if rows else odd
    assert sorted(_header(_post(client, body))) == sorted(warnings)
    assert _counted(client) == dict.fromkeys(warnings, float(max(rows, 1)))


@pytest.mark.parametrize("change", CHANGES)
def test_details_and_explanations_have_the_warnings_of_the_score(
    change: str, client: FlaskClient, known: Body
) -> None:
    changed, warnings = CHANGES[change]
    odd = {**known, **changed}
    reply = _post(client, odd, "/reg/?detail=1")
    assert reply.json
    details = [
        ":".join(filter(None, (doubt["kind"], doubt.get("field"))))
        for doubt in reply.json["body"]["warnings"]
    ]
    assert details == warnings == _header(reply)
    counted = _counted(client)
    assert _header(_post(client, odd, "/reg/explain")) == warnings
    assert _header(_post(client, [known, odd], "/reg/explain")) == warnings
    assert _counted(client) == counted, "an explanation is not traffic of the model"


def test_the_score_is_what_it_was(client: FlaskClient, known: Body) -> None:
    as_text = {**known, _CHARACTERS: _COMMAS}
    as_read = {**known, _CHARACTERS: json.loads(_COMMAS)}
    reply = _post(client, as_text)
    assert reply.json
    assert reply.json == _post(client, as_read).json
    assert reply.json["body"]["positive"] != _post(client, known).json["body"]["positive"]  # type: ignore[index]


_BEYOND = "holds a confidence below 0 or above 1"
_NOT_EACH = "must hold one confidence for each character of afts_regno_ai"
_NO_LENGTH = "must hold 11 confidences, one of them for the length of afts_regno_ai"
_TIME = "is before 1990 or after tomorrow"
_SAME = "is of the same plate as regno_recognize"
_SHORT = "has fewer than 6 or more than 11 characters"
# A guard's name, the change that it refuses, and the field, the kind and the text of the refusal.
_REFUSALS = [
    (_CHARACTERS, "commas", _CHARACTERS, "range", _BEYOND),
    (_CHARACTERS, "too few", _CHARACTERS, "mismatch", _NOT_EACH),
    (f"out-of-range:{_CHARACTERS}", "per cent", _CHARACTERS, "range", _BEYOND),
    (f"length-mismatch:{_CHARACTERS}", "commas", _CHARACTERS, "mismatch", _NOT_EACH),
    (_LENGTHS, "negative", _LENGTHS, "range", _BEYOND),
    (_LENGTHS, "no length", _LENGTHS, "mismatch", _NO_LENGTH),
    ("time_check", "placeholder", "time_check", "implausible", _TIME),
    ("implausible-time:time_check", "far", "time_check", "implausible", _TIME),
    ("readings-agree", "same", "afts_regno_ai", "agree", _SAME),
    ("out-of-range:regno_recognize", "short", "regno_recognize", "range", _SHORT),
]


@pytest.mark.parametrize(("guard", "change", "field", "kind", "text"), _REFUSALS)
def test_a_guard_refuses_on_every_surface(  # noqa: PLR0913, PLR0917
    guard: str, change: str, field: str, kind: str, text: str, make_app: AppMaker, known: Body
) -> None:
    client = make_app(metrics_token=METRICS_TOKEN, guards=f"{guard}=reject").test_client()
    odd, refusal = {**known, **CHANGES[change][0]}, f"{field}: {text}"
    for path in ("/reg/", "/reg/?detail=1", "/reg/explain"):
        refused = _post(client, odd, path)
        assert refused.status_code == 400
        assert refused.json == {"body": refusal, "status": "fail"}
        assert _post(client, known, path).status_code == 200
    many = _post(client, [known, *[odd] * MANY])
    assert many.json
    assert many.json["status"] == "partial"
    assert many.json["body"][1:] == [{"error": refusal}] * MANY
    refusals = {f'field="{field}",reason="{kind}"': MANY + 3.0}
    assert values(client, "scoring_rows_refused_total") == refusals


def test_a_guard_of_one_kind_lets_the_other_pass(make_app: AppMaker, known: Body) -> None:
    client = make_app(guards=f"out-of-range:{_CHARACTERS}=reject").test_client()
    few = {**known, **CHANGES["too few"][0]}
    assert _header(_post(client, few)) == [f"length-mismatch:{_CHARACTERS}"]


@pytest.mark.parametrize(
    "scores", [["0,99"] * 8, ["0.99"] * 8, '["0,99", "0,98"]', "0,99 0,98", "[0.99"]
)
def test_lists_of_texts_are_no_lists_of_numbers(
    scores: object, client: FlaskClient, known: Body
) -> None:
    reply = _post(client, {**known, _CHARACTERS: scores})
    assert reply.status_code == 400
    reason = "must be a list of finite numbers, or a string holding one"
    assert reply.json == {"body": f"{_CHARACTERS}: {reason}", "status": "fail"}


def test_yesterday_today_and_tomorrow_are_plausible(client: FlaskClient, known: Body) -> None:
    now = datetime.now(UTC)
    for days in (-1, 0, 1):
        day = (now + timedelta(days=days)).date().isoformat()
        assert _header(_post(client, {**known, "time_check": day})) == []
    later = (now + timedelta(days=3)).date().isoformat()
    assert _header(_post(client, {**known, "time_check": later})) == ["implausible-time:time_check"]


class TestCalendar:
    """A month or weekday that training data happened to lack is not a reason to doubt a reading."""

    @pytest.fixture
    def summer(self) -> RegnoScorer:
        """The bundled model as if it had been trained on Mondays of summer."""
        scorer = RegnoScorer.load()
        assert scorer.manifest
        months, days = ["June", "July", "August"], ["Monday"]
        scorer.manifest.vocabularies |= {"month": months, "weekday": days}
        return scorer

    @pytest.mark.parametrize("policy", ["accept", "normalise", "reject"])
    @pytest.mark.parametrize("rows", [0, 3, MANY])
    def test_no_policy_of_unseen_categories_is_for_it(
        self, rows: int, policy: str, summer: RegnoScorer, make_app: AppMaker, known: Body
    ) -> None:
        client = make_app(summer, metrics_token=METRICS_TOKEN, unseen=policy).test_client()
        winter = {**known, "time_check": "2021-12-01 10:00:00"}
        for path in ("/reg/", "/reg/?detail=1"):
            reply = _post(client, [winter] * rows if rows else winter, path)
            assert _header(reply) == []
            assert "unseen" not in reply.text
        assert _counted(client) == {}
        assert values(client, "scoring_unseen_categories_total") == {}

    def test_a_guard_that_names_it_refuses(
        self, summer: RegnoScorer, make_app: AppMaker, known: Body
    ) -> None:
        client = make_app(summer, metrics_token=METRICS_TOKEN, guards="month=reject").test_client()
        # A Wednesday in December, and one in June.
        december, june = ({**known, "time_check": day} for day in ("2021-12-01", "2021-06-02"))
        assert _header(_post(client, june)) == []
        reason = "time_check: gives a month that the model never saw"
        for path in ("/reg/", "/reg/?detail=1", "/reg/explain"):
            refused = _post(client, december, path)
            assert (refused.status_code, refused.json) == (400, {"body": reason, "status": "fail"})
        many = _post(client, [june, *[december] * MANY])
        assert many.json
        assert many.json["body"][1:] == [{"error": reason}] * MANY
        assert _counted(client) == {"unseen-category:month": MANY + 2}

    def test_accepting_it_by_name_is_the_default(
        self, summer: RegnoScorer, make_app: AppMaker, known: Body
    ) -> None:
        client = make_app(summer, guards="month=accept,weekday=accept").test_client()
        assert _header(_post(client, {**known, "time_check": "2021-12-01"})) == []
