"""The files of a run, its metrics, and the search for the knee."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from loadgen.load import evaluation, pages, shapes
from loadgen.load.metrics import LoadCollector
from loadgen.load.replies import fault
from loadgen.load.report import Run
from loadgen.load.runner import LEAD_SECONDS, LoadRunner
from loadgen.load.stats import Completed, Stats
from loadgen.load.verdict import EXIT_CODES, Outcome
from loadgen.load.workload import RequestSpec
from tests.support.messages import mentions
from tests.support.paths import ROOT

STAGE_SECONDS: Final = 6


class At(LoadRunner):
    """A runner whose clock is set by the test."""

    moment = 0.0

    def now(self) -> float:
        return self.moment


@pytest.fixture
def load_runner(tmp_path: Path) -> At:
    return At(tmp_path, lambda: ["one"])


def second(number: int, rate: int, took: float = 0.002, fault: str | None = None) -> Stats:
    stats = Stats()
    for turn in range(rate):
        due = number + turn / rate
        stats.at(due).sent += 1
        stats.at(due).late.add(0.0005)
        stats.add(Completed("single", due, due + took, fault, golden=turn % 10 == 0))
    return stats


def test_a_search_ends_when_two_steps_in_a_row_break_and_names_the_one_before(
    load_runner: At, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knee = shapes.named("knee")
    load_runner.begin(knee)
    for number in range(5 * STAGE_SECONDS):
        rate = 300 + number // STAGE_SECONDS * 100
        load_runner.take(second(number, rate, took=0.002 if rate < 500 else 0.2))
    load_runner.moment = 5 * STAGE_SECONDS + evaluation.SETTLE_SECONDS
    load_runner.watch(knee)
    assert load_runner.conclude(knee, {}) is Outcome.HELD
    assert mentions(capsys.readouterr().out, "Greatest rate", "400 requests a second")
    content = json.loads((tmp_path / "knee.json").read_text(encoding="utf-8"))
    assert content["knee"] == 400
    assert [stage["outcome"] for stage in content["stages"]] == ["held", "held", "broken", "broken"]


def test_a_run_that_lost_a_generator_is_no_verdict(tmp_path: Path) -> None:
    sending = ["one", "two"]
    load_runner = At(tmp_path, lambda: sending)
    smoke = shapes.named("smoke")
    load_runner.begin(smoke)
    # One that came later has no share of the schedule, and is not a replacement.
    sending[1] = "three"
    load_runner.moment = 60
    assert load_runner.conclude(smoke, {}) is Outcome.GENERATOR_LAGGED
    content = json.loads((tmp_path / "smoke.json").read_text(encoding="utf-8"))
    assert content["generators_lost"] == 1


def test_golden_rows_that_all_came_back_wrong_were_checked(
    load_runner: At, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_runner.begin(shapes.named("smoke"))
    load_runner.take(second(6, 90))
    known, reply = (
        RequestSpec("single", b"", {}, positive=0.5, model="1"),
        b'{"body":%s,"status":"ok"}',
    )
    wrong = fault(known, 200, reply % b'{"negative":0.75,"positive":0.25}', "1")
    load_runner.stats.seconds[6].golden = 0
    load_runner.take(second(7, 10, fault=wrong))
    load_runner.moment = 60
    load_runner.conclude(shapes.named("smoke"), {})
    line = "Golden rows: 0 with the known score, 10 with another"
    assert line in capsys.readouterr().out
    content = json.loads((tmp_path / "smoke.json").read_text(encoding="utf-8"))
    assert (content["golden_rows"], content["golden_rows_wrong"]) == (0, 10)


def test_nothing_starts_before_all_generators_have_the_schedule(load_runner: At) -> None:
    assert LEAD_SECONDS >= 1
    load_runner.begin(shapes.named("smoke"))
    assert -LEAD_SECONDS <= LoadRunner.now(load_runner) < 0


# Metrics


def metrics(load_runner: LoadRunner) -> str:
    registry = CollectorRegistry()
    registry.register(LoadCollector(load_runner))
    return generate_latest(registry).decode()


def test_the_metrics_are_those_of_the_dashboard(load_runner: At) -> None:
    dashboard = (ROOT / "monitoring/grafana/dashboards/load.json").read_text(encoding="utf-8")
    page = metrics(load_runner)
    for name in (
        *("loadgen_target_requests_per_second", "loadgen_achieved_requests_per_second"),
        *("loadgen_lateness_seconds", "loadgen_client_latency_seconds_bucket"),
        *("loadgen_client_latency_seconds_count", "loadgen_failures_total"),
    ):
        assert name in dashboard
        assert f"\n{name}" in page


def test_rates_and_failures_are_those_of_the_last_seconds(load_runner: At) -> None:
    load_runner.begin(shapes.named("smoke"))
    for number in range(8, 10):
        load_runner.take(second(number, 100, fault="single: status 503, not 200"))
    for number in range(10, 14):
        load_runner.take(second(number, 100))
    load_runner.moment = 14.7
    page = metrics(load_runner)
    assert "loadgen_target_requests_per_second 100.0" in page
    assert "loadgen_achieved_requests_per_second 80.0" in page
    assert 'loadgen_failures_total{reason="single: status 503, not 200"} 200.0' in page
    assert 'loadgen_client_latency_seconds_bucket{le="0.002"} 600.0' in page


def test_a_second_that_is_not_delivered_yet_makes_no_rate_less(load_runner: At) -> None:
    load_runner.begin(shapes.named("smoke"))
    for number in range(8, 13):
        load_runner.take(second(number, 100))
    half = second(13, 50)
    load_runner.take(half)
    load_runner.moment = 14.2
    assert "loadgen_achieved_requests_per_second 100.0" in metrics(load_runner)
    load_runner.take(half)
    load_runner.moment = 14.7
    assert "loadgen_achieved_requests_per_second 100.0" in metrics(load_runner)


def test_after_a_run_rates_are_zero(load_runner: At) -> None:
    load_runner.begin(shapes.named("smoke"))
    load_runner.take(second(19, 100))
    load_runner.moment = 60
    assert "loadgen_target_requests_per_second 0.0" in metrics(load_runner)
    assert "loadgen_achieved_requests_per_second 0.0" in metrics(load_runner)


# The page


def rows(*more: dict[str, Any]) -> list[dict[str, Any]]:
    usual = {"target": 100.0, "right": 100, "failed": 0, "late": 0.1}
    times = {"p50": 2.0, "p95": 3.0, "p99": None}
    return [{"second": n, **usual, **times} for n in range(5)] + list(more)


def test_the_page_shows_verdict_and_plots_and_escapes_its_texts(tmp_path: Path) -> None:
    run = Run("smoke", False, [], rows(), 0, {}, {"url": "http://<b>"})  # noqa: FBT003
    data, page = pages.write(run, tmp_path)
    assert json.loads(data.read_text(encoding="utf-8"))["outcome"] == "nothing ran"
    text = page.read_text(encoding="utf-8")
    assert "nothing ran" in text
    assert text.count("<svg") == 1
    assert "http://&lt;b&gt;" in text
    assert EXIT_CODES[run.outcome] == 3
