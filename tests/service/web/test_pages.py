"""The pages: what they show, what they let a browser do, and what they say when something fails."""

from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
from werkzeug.test import TestResponse

from service.http import reply
from service.jobs.score_kind import ExplainedScore
from service.jobs.states import State
from service.routes.openapi import EXAMPLE
from tests.support.web import READING, Web

_FORM = {name: str(value) for name, value in READING.items()}
_DETAIL = {
    "negative": 0.9,
    "positive": 0.1,
    "decision": "camera",
    "margin": 0.2,
    "warnings": [
        {
            "kind": "unseen-category",
            "field": "camera_class",
            "nearest": "Стрелка",
            "normalised": True,
        }
    ],
    "model": "v7",
}


def _influence(feature: str, contribution: float) -> dict[str, Any]:
    pushes = "network" if contribution > 0 else "camera"
    text = f"{feature} is <b>: speaks for it"
    return {"feature": feature, "contribution": contribution, "pushes": pushes, "text": text}


_FEATURES = [_influence(f"f{n}", (-1) ** n / (n + 1)) for n in range(20)]
_EXPLANATION = {"text": "In words.", "base_probability": 0.6, "features": _FEATURES}


class Elements(HTMLParser):
    """The elements of a page, each with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of these names."""
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture(autouse=True)
def _signed_in(web: Web) -> None:
    web.client.post("/home/sign-in", data={"key": "of-another"})


def _score(web: Web, **changed: str) -> TestResponse:
    web.scoreboard.begin_stop()  # nobody does the job, so nobody is to wait for it
    return web.client.post("/home/plates", data={**_FORM, **changed})


def _newest(web: Web) -> Any:
    (job,) = web.stores.records.list("other", None, "", 1)
    return job


def _ended(web: Web, result: object, state: State = State.SUCCEEDED, **more: Any) -> str:
    """A reading's job as a worker ends it, and the address at which it is shown."""
    _score(web)
    job = web.stores.records.claim(_newest(web).id, "w", _newest(web).created, 30.0)
    assert job is not None
    reference = web.stores.blobs.put(job.id, reply.ok(result).body) if result else ""
    web.stores.records.finish(job.id, job.fence, job.created, state, result=reference, **more)
    return f"/home/plates/{job.id}"


def _pages(web: Web) -> list[str]:
    scored = _ended(web, ExplainedScore(_DETAIL, _EXPLANATION, ""))
    upload = {"file": (BytesIO(b"a,b\n1,2\n"), "night.csv")}
    table = web.client.post("/home/tables", data=upload).headers["Location"]
    shown = ["/home/plates", "/home/pictures", "/home/models", scored, table, f"{table}x"]
    pages = [web.client.get(path).text for path in shown]
    web.client.post("/home/sign-out")
    return [*pages, web.client.get("/home").text]


def test_no_page_needs_what_the_policy_forbids(web: Web) -> None:
    for page in _pages(web):
        elements = Elements(page)
        assert elements.of("style", "iframe", "object", "base") == []
        assert all(script.get("src") for script in elements.of("script"))
        for _, attributes in elements.found:
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "action"):
                assert (attributes.get(name) or "/").startswith(("/", "#"))


@pytest.mark.parametrize("path", ["/home", "/home/plates", "/home/models", "/home/tables/0"])
def test_every_page_is_confined_and_kept_by_nobody(path: str, web: Web) -> None:
    headers = web.client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_every_field_has_a_label_and_every_page_a_heading(web: Web) -> None:
    for page in _pages(web):
        elements = Elements(page)
        labels = {label.get("for") for label in elements.of("label")}
        # Those of a choice are within their labels.
        fields = [
            field
            for field in elements.of("input", "textarea", "select")
            if field.get("type") not in ("hidden", "radio")
        ]
        assert labels >= {field["id"] for field in fields}
        assert len(elements.of("h1")) == 1
        assert elements.of("html")[0]["lang"] == "en"


def test_the_form_is_filled_with_an_example_of_all_fields(web: Web) -> None:
    fields = Elements(web.client.get("/home/plates").text).of("input", "textarea")
    assert [field["name"] for field in fields] == [*READING, "file"]
    assert fields[0]["value"] == EXAMPLE["regno_recognize"]


def test_a_reading_becomes_a_job_that_is_explained(web: Web) -> None:
    shown = _score(web)
    assert shown.status_code == 200
    job = _newest(web)
    assert (job.kind, job.model, job.owner) == ("score", "regno", "other")
    assert job.parameters == {"detail": "1", "explain": "1"}
    assert f'data-poll="/home/plates/{job.id}"' in shown.text
    assert f'content="2; url=/home/plates/{job.id}"' in shown.text


@pytest.mark.parametrize(
    ("field", "value"), [("direction", "3"), ("recognition_accuracy", ""), ("time_check", "soon")]
)
def test_a_field_that_can_not_be_read_is_marked_and_nothing_is_lost(
    web: Web, field: str, value: str
) -> None:
    shown = _score(web, **{field: value, "regno_recognize": '"><script>'})
    assert shown.status_code == 400
    elements = Elements(shown.text)
    (wrong,) = [one for one in elements.of("input", "textarea") if "aria-invalid" in one]
    assert (wrong["name"], wrong["value"]) == (field, value)
    assert elements.of("input")[0]["value"] == '"><script>'
    assert f"<code>{field}</code>" in shown.text
    assert list(web.stores.records.list("other", None, "", 9)) == []


def test_a_score_is_shown_with_decision_warnings_and_bars(web: Web) -> None:
    page = web.client.get(_ended(web, ExplainedScore(_DETAIL, _EXPLANATION, ""))).text
    texts = "10.0 %", "Take the camera", "In words.", "v7", "<q>Стрелка</q>", "corrected before"
    for text in texts:
        assert text in page
    assert "f0 is &lt;b&gt; <code>f0</code>" in page
    bars = [rect for rect in Elements(page).of("rect") if "x" in rect]
    assert len(bars) == 13, "twelve features, and the others together"
    assert (bars[0]["x"], bars[0]["width"]) == ("100", "100.0")
    assert (bars[1]["x"], bars[1]["width"]) == ("50.0", "50.0")
    rest = sum(one["contribution"] for one in _FEATURES[12:])
    assert f"{rest:+.3f}" in page


def test_a_score_without_an_explanation_says_why(web: Web) -> None:
    page = web.client.get(_ended(web, ExplainedScore(_DETAIL, None, "no reason"))).text
    assert "No reason." in page


def test_a_reading_that_failed_says_so(web: Web) -> None:
    page = web.client.get(_ended(web, None, State.DEAD, error="attempt: failed")).text
    assert "Not scored: attempt: failed." in page
    assert "data-poll" not in page


def test_a_table_is_uploaded_followed_and_fetched(web: Web) -> None:
    upload = {"file": (BytesIO(b"a,b\n1,2\n"), "night.csv")}
    sent = web.client.post("/home/tables", data=upload)
    address = sent.headers["Location"]
    assert sent.status_code == 303
    job = _newest(web)
    assert job.parameters == {"detail": "1", "filename": "night.csv"}
    assert f'data-poll="{address}"' in web.client.get(address).text
    assert "night.csv" in web.client.get("/home/plates").text
    claimed = web.stores.records.claim(job.id, "w", job.created, 30.0)
    assert claimed is not None
    reference = web.stores.blobs.put(job.id, "a;positive\nЖ;0.5\n".encode())
    web.stores.records.finish(
        job.id, claimed.fence, job.created, State.SUCCEEDED, result=reference,
        result_type="text/csv", rows=1,
    )  # fmt: skip
    page = web.client.get(address).text
    assert "<td>Ж</td><td>0.5</td>" in page
    assert "data-poll" not in page
    result = web.client.get(f"{address}/result", buffered=True)
    assert result.data == "a;positive\nЖ;0.5\n".encode()
    assert "night.csv" in result.headers["Content-Disposition"]


def test_a_form_without_a_file_is_refused_on_a_page(web: Web) -> None:
    refused = web.client.post("/home/tables", data={"file": (BytesIO(b""), "")})
    assert refused.status_code == 400
    assert "text/html" in refused.content_type
    assert 'role="alert"' in refused.text


def test_jobs_of_others_and_of_other_kinds_are_not_there(web: Web) -> None:
    scored = _ended(web, ExplainedScore(_DETAIL, None, ""))
    assert web.client.get(scored).status_code == 200
    assert web.client.get(scored.replace("plates", "tables")).status_code == 404
    assert web.client.get(scored, headers={"x-api-key": "123321"}).status_code == 404


def test_records_that_are_away_are_a_page(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.jobs.records import RecordsUnavailable

    def away(*_: object, **__: object) -> None:
        raise RecordsUnavailable

    monkeypatch.setattr(web.stores.records, "accept", away)
    refused = _score(web)
    assert (refused.status_code, refused.mimetype) == (503, "text/html")


def test_a_form_has_a_greatest_size(web: Web) -> None:
    assert _score(web, camera_type="x" * 70_000).status_code == 413


def test_models_are_listed_with_their_measures(web: Web) -> None:
    page = web.client.get("/home/models").text
    for text in ("regno-sim-", "auc", "/docs/", "SCORING_WEB_DASHBOARDS"):
        assert text in page
    for text in (
        "digits-",
        "0.9902",
        "POST /digits/classify",
        "efficientnet-lite0-",
        "POST /query",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Accept": "text/html,*/*"}, 303),
        ({"Accept": "text/html", "x-api-key": "wrong"}, 401),
        ({"Accept": "*/*", "x-api-key": "of-another"}, 200),
    ],
)
def test_the_root_is_for_programs_and_sends_browsers_on(
    web: Web, headers: dict[str, str], status: int
) -> None:
    found = web.client.get("/", headers=headers)
    assert found.status_code == status
    assert found.headers.get("Location", "/home") == "/home"


@pytest.mark.parametrize("name", ["page.css", "page.js", "icon.svg"])
def test_the_files_of_the_pages_are_there_for_everybody(web: Web, name: str) -> None:
    web.client.post("/home/sign-out")
    found = web.client.get(f"/static/{name}", buffered=True)
    assert found.status_code == 200
    known = {"If-None-Match": found.headers["ETag"]}
    again = web.client.get(f"/static/{name}", headers=known, buffered=True)
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/no", "/static/%2e%2e%2fapp.py"])
def test_no_other_file_is(web: Web, path: str) -> None:
    assert web.client.get(path).status_code == 404
