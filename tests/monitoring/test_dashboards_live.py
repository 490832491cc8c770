"""The dashboards with data of the real service under load: every query, every picture."""

import json
import math
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from PIL import Image

from tests.screenshots import dashboards, draw, stack, traffic
from tests.screenshots.dashboards import Query, Variable
from tests.screenshots.prometheus import Prometheus, Span
from tests.screenshots.stack import SCRAPE_SECONDS
from tests.support.server import eventually
from tests.support.vacuous import nonempty

pytestmark = pytest.mark.slow

# The other model of the load has neither bins nor calibrated scores, which these panels are about.
WITHOUT_DATA = {"Drift of other models", "Expected accuracy of other models"}
QUERIES = [
    (name, query)
    for name in dashboards.names()
    for query in dashboards.queries(dashboards.load(name))
    if query.title not in WITHOUT_DATA
]
IDS = [f"{name}: {query.title} {query.ref}" for name, query in QUERIES]
ENOUGH = "sum(scoring_http_requests_total) > 600"
SWAPPED = 'min(scoring_model_live{version="2026-11"}) == 1'
RELOADED = "sum(changes(scoring_worker_starts_total[1m])) > 0"
# The last rule to hold: drift needs a thousand rows.
LAST = "scoring:drift_psi_weighted:1h"


class Loaded(NamedTuple):
    """A Prometheus after the load, the time of the load, and the replies by status."""

    prometheus: Prometheus
    span: Span
    replies: dict[str, int]

    def variables(self, name: str) -> list[Variable]:
        """The variables of a dashboard, as they are when it opens."""
        return dashboards.variables(dashboards.load(name), self.prometheus, self.span)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Load with a swap and a reload, until all rules have values."""
    with stack.running_stack(tmp_path_factory.mktemp("stack")) as running:
        began = time.time()
        with traffic.background_load(running.port, rate=120) as stream:
            _wait_until_it_has_held(running.prometheus, ENOUGH, seconds=0)
            running.swap()
            _wait_until_it_has_held(running.prometheus, SWAPPED, seconds=1)
            running.reload()
            for expr in (RELOADED, LAST):
                _wait_until_it_has_held(running.prometheus, expr, seconds=5)
            ended = _moment_of(running.prometheus, LAST)
            replies = stream.stop().counts()
        yield Loaded(running.prometheus, Span(began, ended, SCRAPE_SECONDS), replies)


def _wait_until_it_has_held(prometheus: Prometheus, expr: str, seconds: float) -> None:
    eventually(lambda: bool(prometheus.at(expr, time.time() - seconds)["result"]), expr)


def _moment_of(prometheus: Prometheus, expr: str) -> float:
    """A moment at which a query has a result: a late scrape leaves rules without a value."""
    moments: list[float] = []

    def has_it() -> bool:
        moments.append(time.time())
        return bool(prometheus.at(expr, moments[-1])["result"])

    eventually(has_it, expr)
    return moments[-1]


def answer(loaded: Loaded, name: str, query: Query) -> Any:
    chosen = loaded.variables(name)
    return dashboards.run(query, chosen, loaded.prometheus, loaded.span, SCRAPE_SECONDS)


def numbers(data: Any) -> list[float]:
    series = [{"value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
    points = [point for one in series for point in one.get("values") or [one["value"]]]
    return [float(text) for _, text in points if not math.isnan(float(text))]


@pytest.mark.parametrize(("name", "query"), QUERIES, ids=IDS)
def test_a_query_returns_data(loaded: Loaded, name: str, query: Query) -> None:
    values = numbers(answer(loaded, name, query))
    assert values
    assert all(math.isfinite(number) for number in values)


@pytest.mark.parametrize("name", dashboards.names())
def test_marks_in_time_are_found(loaded: Loaded, name: str) -> None:
    """The reload: two models loaded, two workers started."""
    for mark in nonempty(dashboards.load(name)["annotations"]["list"]):
        assert numbers(loaded.prometheus.over(mark["expr"], loaded.span)), mark["name"]


def test_variables_offer_what_there_is(loaded: Loaded) -> None:
    variables = {variable["name"]: variable for variable in _variables("model")}
    instance, camera_class, feature = (
        dashboards.values(variables[name], loaded.prometheus, loaded.span)
        for name in ("instance", "camera_class", "feature")
    )
    assert len(instance) == 5  # the service, web processes, a job and an AMQP worker, a sink
    assert {"Стрелка-М", "other"} <= set(camera_class)
    assert {"camera_class", "positive"} <= set(feature)
    chosen = {variable.name: variable for variable in loaded.variables("model")}
    assert chosen["feature"].value == "camera_class"
    assert chosen["camera_class"].text == "All"


def _variables(name: str) -> list[dict[str, Any]]:
    variables: list[dict[str, Any]] = dashboards.load(name)["templating"]["list"]
    return variables


def labels(loaded: Loaded, name: str, title: str, label: str) -> set[str]:
    """The values of a label among a panel's series that are ever above zero."""
    [query] = [q for q in dashboards.queries(dashboards.load(name)) if q.title == title]
    series = answer(loaded, name, query)["result"]
    return {
        one["metric"].get(label, "")
        for one in series
        if any(float(text) > 0 for _, text in one["values"])
    }


def test_the_load_shows_where_it_should(loaded: Loaded) -> None:
    """The panels show the requests of the callers."""
    assert loaded.replies.get("closed", 0) < 20  # connections that the reload closed
    statuses = {status for status in loaded.replies if status not in {"closed", "404"}}
    assert statuses == {"200", "400", "401"}
    # 415: what the load generator does wrong, sooner or later.
    assert labels(loaded, "service", "Requests by status", "status") - {"415"} == statuses
    callers = labels(loaded, "service", "Requests by caller", "key")
    assert callers == {"cameras", "archive", "none"}
    assert labels(loaded, "service", "Other paths", "route") >= {"/", "/healthz", "unmatched"}
    refused = labels(loaded, "service", "Why rows are refused", "reason")
    assert refused == {"missing", "type", "range", "unreadable"}
    assert labels(loaded, "service", "Rows by outcome", "result") == {"scored", "refused"}
    assert labels(loaded, "model", "Unseen categories", "field") == {"camera_class"}
    doubts = {"lookalike-letters", "out-of-range", "length-mismatch"}
    assert labels(loaded, "model", "Doubtful readings", "kind") == doubts
    assert "other" in labels(loaded, "model", "Rows by camera class", "camera_class")


def test_a_swap_shows_where_it_should(loaded: Loaded) -> None:
    """All workers followed the second generation while the first ones served."""
    assert labels(loaded, "model", "Workers by model", "version") == {"2026-10", "2026-11"}
    queries = [
        query
        for title in ("Generation by worker", "Workers that reach the registry")
        for query in dashboards.queries(dashboards.load("model"))
        if query.title == title
    ]
    generations, reached = (answer(loaded, "model", query) for query in queries)
    assert {one["metric"]["worker"] for one in generations["result"]} >= {"0", "1"}
    assert set(numbers(generations)) == {1, 2}
    assert set(numbers(reached)) == {1}


def test_shares_add_up(loaded: Loaded) -> None:
    dashboard = dashboards.load("model")
    [query] = [query for query in dashboards.queries(dashboard) if query.title == "Decisions"]
    last = [float(one["values"][-1][1]) for one in answer(loaded, "model", query)["result"]]
    assert len(last) == 3
    assert sum(last) == pytest.approx(1)
    training, now, change = (
        _by_bin(answer(loaded, "model", query))
        for query in dashboards.queries(dashboard)
        if query.title == "Values of $feature"
    )
    assert sum(training.values()) == pytest.approx(1, abs=1e-3)
    assert sum(now.values()) == pytest.approx(1)
    assert change["other"] == pytest.approx(now["other"] - training["other"])
    assert now["other"] > training["other"]


def test_the_distribution_of_scores_is_whole_and_in_order(loaded: Loaded) -> None:
    dashboard = dashboards.load("model")
    [query] = [q for q in dashboards.queries(dashboard) if q.title == "Distribution of scores"]
    shares = {
        one["metric"]["range"]: float(one["value"][1])
        for one in answer(loaded, "model", query)["result"]
    }
    assert sorted(shares) == [
        *("0 to 0.1", "0.1 to 0.2", "0.2 to 0.3", "0.3 to 0.4", "0.4 to 0.5", "0.5 to 0.6"),
        *("0.6 to 0.7", "0.7 to 0.8", "0.8 to 0.9", "0.9 to 1.0"),
    ]
    assert min(shares.values()) >= 0
    assert sum(shares.values()) == pytest.approx(1)


def test_bins_of_scores_are_numbers(loaded: Loaded) -> None:
    dashboard = dashboards.load("model")
    queries = [q for q in dashboards.queries(dashboard) if q.title == "Scores by bin"]
    assert len(queries) == 3
    for query in queries:
        bins = sorted(map(float, _by_bin(answer(loaded, "model", query))))
        assert bins[-1] == 1
        assert len(bins) == 10


def test_alerts_that_fire_are_reported_and_else_that_none_does(loaded: Loaded) -> None:
    [query] = [q for q in dashboards.queries(dashboards.load("service")) if q.title == "Alerts"]
    shown = [one["metric"]["alertname"] for one in answer(loaded, "service", query)["result"]]
    firing = loaded.prometheus.at('ALERTS{alertstate="firing"}', loaded.span.end)["result"]
    assert set(shown) == ({one["metric"]["alertname"] for one in firing} or {"none"})


def _by_bin(data: Any) -> dict[str, float]:
    return {one["metric"]["bin"]: float(one["value"][1]) for one in data["result"]}


@pytest.fixture(scope="module")
def pictures(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, draw.Drawn]:
    """All dashboards, drawn into one folder."""
    folder = tmp_path_factory.mktemp("screenshots")
    draw.page(folder)
    return {
        name: draw.dashboard(name, loaded.prometheus, loaded.span, SCRAPE_SECONDS, folder)
        for name in dashboards.names()
    }


@pytest.mark.parametrize("name", dashboards.names())
def test_every_panel_shows_colour(pictures: dict[str, draw.Drawn], name: str) -> None:
    """Lines, numbers and areas are coloured; titles, axes and tables are grey."""
    dashboard = dashboards.load(name)
    empty = {title for title, count in pictures[name].series.items() if not count}
    assert empty <= WITHOUT_DATA, "every other panel has data"
    with Image.open(pictures[name].picture) as image:
        picture = image.convert("RGB")
    for panel in dashboards.panels(dashboard):
        if panel["type"] == "table" or panel["title"] in WITHOUT_DATA:
            continue
        assert _coloured(picture.crop(_corners(panel))) > 20, panel["title"]


def _coloured(picture: Image.Image) -> int:
    """The number of pixels that are neither black nor white nor grey."""
    colours: Any = picture.getcolors(picture.width * picture.height)
    return sum(count for count, colour in colours if max(colour) - min(colour) > 60)


def _corners(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    left, top, width, height = draw.box(panel)
    return left, top, left + width, top + height


def test_the_page_can_be_opened_by_itself(pictures: dict[str, draw.Drawn]) -> None:
    folder = pictures["service"].picture.parent
    page = (folder / "service.html").read_text()
    match = re.search(r"window\.screenshot = (.*);</script>", page)
    assert match
    assert json.loads(match[1])["dashboard"] == dashboards.load("service")
    assert {path.name for path in folder.iterdir()} == {
        *("page.js", "page.css"),
        *(f"{name}.{kind}" for name in dashboards.names() for kind in ("html", "png")),
    }
