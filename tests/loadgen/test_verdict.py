"""The logic of the verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadgen.common.errors import BadFile
from loadgen.load import limits, report
from loadgen.load.histogram import Histogram, merged
from loadgen.load.verdict import (
    EXIT_CODES,
    Figures,
    GeneratorLimits,
    Outcome,
    StageResult,
    evaluate,
    greatest_held,
    is_over,
    overall,
)
from tests.support.messages import mentions

LIMITS = limits.read()
GENERATOR = GeneratorLimits(max_lateness_p99_ms=10, max_cpu=0.9)


def times(**counts_by_ms: int) -> Histogram:
    histogram = Histogram()
    for name, count in counts_by_ms.items():
        histogram.add(int(name.removeprefix("ms")) / 1000, count)
    return histogram


def figures(**values: Any) -> Figures:
    usual: dict[str, Any] = {
        "name": "500/s", "target": 500.0, "seconds": 60.0, "planned": 30_000, "sent": 30_000,
        "right": 30_000, "golden": 300, "failures": {}, "latency": times(ms2=29_000, ms12=1_000),
        "lateness": times(ms1=30_000), "cpu": 0.3,
    }  # fmt: skip
    return Figures(**(usual | values))


def judged(**values: Any) -> StageResult:
    return evaluate(figures(**values), LIMITS["load_test"], GENERATOR)


def missed(result: StageResult) -> list[str]:
    return [check.name for check in result.checks if check.holds is False]


def test_a_quick_service_holds() -> None:
    result = judged()
    assert result.outcome is Outcome.HELD
    assert missed(result) == []


def test_nothing_sent_is_no_success() -> None:
    nothing = {"sent": 0, "right": 0, "latency": Histogram(), "lateness": Histogram()}
    assert judged(**nothing).outcome is Outcome.NOTHING_RAN


def test_all_refused_breaks_rate_and_errors() -> None:
    result = judged(right=0, failures={"status 503": 30_000})
    assert result.outcome is Outcome.BROKEN
    assert missed(result) == ["right replies a second", "share failed"]


@pytest.mark.parametrize("kind", ["single", "array"])
def test_one_wrong_score_breaks(kind: str) -> None:
    wrong = {f"{kind}: a golden row has another score": 1}
    result = judged(right=29_999, failures=wrong)
    assert result.outcome is Outcome.BROKEN
    assert missed(result) == ["golden rows with another score"]


def test_half_slow_breaks_the_median_and_all_above() -> None:
    result = judged(latency=times(ms2=14_999, ms200=15_001))
    assert result.outcome is Outcome.BROKEN
    assert missed(result) == ["p50, ms", "p95, ms", "p99, ms"]


def test_a_few_slow_ones_break_only_the_tail() -> None:
    assert missed(judged(latency=times(ms2=29_600, ms26=400))) == ["p99, ms"]


def test_a_late_generator_gives_no_verdict_however_well_the_service_did() -> None:
    result = judged(lateness=times(ms1=29_000, ms30=1_000))
    assert result.outcome is Outcome.GENERATOR_LAGGED


def test_a_generator_at_its_cpu_limit_gives_no_verdict_even_of_a_slow_service() -> None:
    result = judged(cpu=0.97, latency=times(ms200=30_000), right=10_000)
    assert result.outcome is Outcome.GENERATOR_LAGGED


def test_too_few_requests_are_no_proof() -> None:
    few = judged(planned=999, sent=999, right=999, seconds=999 / 500)
    assert few.outcome is Outcome.BROKEN
    assert missed(few) == ["requests"]


@pytest.mark.parametrize(("right", "outcome"), [(29_400, Outcome.HELD), (29_399, Outcome.BROKEN)])
def test_98_of_100_of_the_target_rate_are_the_least(right: int, outcome: Outcome) -> None:
    assert judged(right=right).outcome is outcome


@pytest.mark.parametrize(("failed", "outcome"), [(30, Outcome.HELD), (31, Outcome.BROKEN)])
def test_one_failure_in_a_thousand_is_the_most(failed: int, outcome: Outcome) -> None:
    result = judged(right=30_000 - failed, failures={"timeout": failed})
    assert result.outcome is outcome


def test_the_promise_to_clients_is_looser_than_the_load_test() -> None:
    slower = figures(latency=times(ms40=30_000))
    assert evaluate(slower, LIMITS["load_test"], GENERATOR).outcome is Outcome.BROKEN
    assert evaluate(slower, LIMITS["objective"], GENERATOR).outcome is Outcome.HELD


def of_jobs(**values: Any) -> StageResult:
    usual: dict[str, Any] = {
        "name": "20/s", "target": 20.0, "planned": 1200, "sent": 1200, "right": 1200,
        "latency": times(ms20=1200), "accepted": 1200, "ended": 1200, "rows": 60_000,
        "finished": times(ms50=1200), "golden": 12,
    }  # fmt: skip
    return evaluate(figures(**{**usual, **values}), LIMITS["job_test"], GENERATOR)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, []),
        ({"ended": 1199}, ["jobs lost"]),
        ({"latency": times(ms20=1180, ms600=20)}, ["accepted p99, ms"]),
        ({"finished": times(ms50=1180, ms6000=20)}, ["finished p99, ms"]),
        ({"finished": times(ms2000=1200)}, ["finished p50, ms"]),
        ({"failures": {"job: the job ended as dead": 2}}, ["share failed"]),
        (
            {"failures": {"job: a golden row has another score": 1}},
            ["golden rows with another score"],
        ),
    ],
)
def test_jobs_are_judged_by_their_acceptance_and_their_end(
    values: dict[str, Any], names: list[str]
) -> None:
    result = of_jobs(**values)
    assert missed(result) == names
    assert result.outcome is (Outcome.BROKEN if names else Outcome.HELD)


def test_the_report_of_jobs_has_their_ends_and_rows() -> None:
    made = run(of_jobs())
    (stage,) = report.as_json(made)["stages"]
    assert stage["jobs"]["rows_per_second"] == 1000
    assert (stage["jobs"]["accepted"], stage["jobs"]["lost"]) == (1200, 0)
    assert stage["jobs"]["finished_ms"]["p99"] == 50
    assert mentions(report.as_text(made), "rows scored a second", "1,000")
    assert "jobs" not in report.as_json(run(judged()))["stages"][0]


def test_the_gravest_stage_is_the_outcome_of_the_run() -> None:
    broken = judged(right=0)
    assert overall([]) is Outcome.NOTHING_RAN
    assert overall([judged(), broken]) is Outcome.BROKEN
    assert overall([broken, judged(cpu=1.0)]) is Outcome.GENERATOR_LAGGED


def test_only_a_run_that_held_ends_with_zero() -> None:
    assert {outcome for outcome, code in EXIT_CODES.items() if code == 0} == {Outcome.HELD}
    assert len(set(EXIT_CODES.values())) == len(Outcome)
    assert 2 not in EXIT_CODES.values()


def steps(*right: int) -> list[StageResult]:
    return [
        judged(name=f"{rate}/s", target=float(rate), right=60 * got, planned=60 * rate)
        for rate, got in zip((500, 600, 700), right, strict=False)
    ]


def test_the_knee_is_the_greatest_rate_that_held() -> None:
    assert greatest_held(steps(500, 600, 300)) == 600
    assert greatest_held(steps(500, 300, 700)) == 700
    assert greatest_held(steps(100)) is None


def test_a_search_is_over_when_two_steps_in_a_row_did_not_hold() -> None:
    assert is_over(steps(500, 300, 300))
    assert not is_over(steps(500, 300, 700))
    assert not is_over(steps(100))


@pytest.mark.parametrize(
    ("right", "outcome"), [((500, 300), Outcome.HELD), ((100,), Outcome.BROKEN)]
)
def test_a_search_for_the_knee_holds_if_it_found_one(
    right: tuple[int, ...], outcome: Outcome
) -> None:
    assert run(*steps(*right), seeks_knee=True).outcome is outcome


def test_a_search_that_the_generator_ended_found_no_knee() -> None:
    lagged, broken = judged(cpu=1.0), judged(right=0)
    for ends in ((judged(), lagged), (judged(), lagged, broken), (judged(), broken, lagged)):
        assert run(*ends, seeks_knee=True).outcome is Outcome.GENERATOR_LAGGED
    # What came before a rate that held is not a question any more.
    assert run(lagged, judged(), broken, broken, seeks_knee=True).outcome is Outcome.HELD


def run(*stage_results: StageResult, seeks_knee: bool = False) -> report.Run:
    return report.Run("ramp500", seeks_knee, stage_results, [], 12, {"1": 120}, {})


def test_the_table_names_each_miss_and_why() -> None:
    text = report.as_text(run(judged(right=0, failures={"status 503": 30_000})))
    assert text.startswith("ramp500: broken\n")
    (rate,) = [line for line in text.splitlines() if "right replies" in line]
    assert rate.split()[-4:] == ["0", "≥", "490", "MISSED"]
    assert "30,000 failed: status 503" in text


@pytest.mark.parametrize(
    ("golden", "models", "facts"),
    [
        (12, {"1": 120}, ("12 ", "known score")),
        (0, {"": 120}, ("not checked", "no version")),
        (0, {"2": 9, "1": 3}, ("not checked", "version 1, 2")),
        (0, {}, ("not checked", "no row")),
    ],
)
def test_the_table_shows_why_golden_rows_were_not_checked(
    golden: int, models: dict[str, int], facts: tuple[str, ...]
) -> None:
    finished = run(judged())._replace(golden=golden, models=models)
    assert mentions(report.as_text(finished), "Golden rows: ", *facts)
    assert report.as_json(finished)["models"] == models


@pytest.mark.parametrize(
    ("golden", "failures", "line", "outcome"),
    [
        (0, {}, "- ≤ 0 not checked", Outcome.HELD),
        (5, {}, "0 ≤ 0 ok", Outcome.HELD),
        (0, {"single: a golden row has another score": 2}, "2 ≤ 0 MISSED", Outcome.BROKEN),
    ],
)
def test_a_stage_without_golden_rows_says_so_and_holds(
    golden: int, failures: dict[str, int], line: str, outcome: Outcome
) -> None:
    result = judged(golden=golden, failures=failures)
    text = report.as_text(run(result))
    (shown,) = [one for one in text.splitlines() if "golden rows with another" in one]
    assert " ".join(shown.split()[5:]) == line
    assert result.outcome is outcome


@pytest.mark.parametrize(("golden", "value", "holds"), [(0, None, None), (5, 0, True)])
def test_the_json_has_no_value_of_what_was_not_checked(
    golden: int, value: int | None, *, holds: bool | None
) -> None:
    (stage,) = report.as_json(run(judged(golden=golden)))["stages"]
    (check,) = [check for check in stage["checks"] if check["name"].startswith("golden rows")]
    assert (check["value"], check["holds"]) == (value, holds)


def test_the_table_shows_versions_when_they_changed() -> None:
    several = run(judged())._replace(models={"b": 1_200, "a": 300, "": 2})
    assert mentions(report.as_text(several), "Replies by version", "none 2, a 300, b 1,200")
    assert "Replies by version" not in report.as_text(run(judged()))


def test_the_table_shows_the_knee() -> None:
    text = report.as_text(run(*steps(500, 600, 300), seeks_knee=True))
    assert mentions(text, "Greatest rate", "600 requests a second")


def test_the_json_holds_outcome_checks_and_percentiles() -> None:
    content = json.loads(json.dumps(report.as_json(run(judged(cpu=0.95)))))
    (stage,) = content["stages"]
    assert mentions(content["outcome"], "no verdict", "generator")
    assert stage["latency_ms"]["p99"] == 12
    assert [check["name"] for check in stage["checks"] if check["holds"] is False] == [
        "generator's CPU, of a core"
    ]


# Histograms and files


def test_percentiles_are_steps_of_a_tenth_of_a_millisecond_rounded_up() -> None:
    histogram = Histogram()
    for microseconds in range(1, 1001):
        histogram.add(microseconds * 1e-5)
    assert histogram.percentile_ms(0.5) == 5.0
    assert histogram.percentile_ms(0.99) == 9.9
    assert histogram.percentile_ms(1.0) == 10.0
    histogram.add(0.01001, 1000)
    assert histogram.percentile_ms(0.9) == 10.1


def test_no_values_have_no_percentile() -> None:
    assert Histogram().percentile_ms(0.5) is None


def test_histograms_add_up() -> None:
    together = merged([times(ms1=3), times(ms1=1, ms20=4)])
    assert together.count == 8
    assert together.cumulative([0.001, 0.0199, 0.02]) == [4, 4, 8]
    assert together.seconds() == pytest.approx(0.084)


def test_the_limits_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "slo.toml"
    text = limits.PATH.read_text(encoding="utf-8")
    path.write_text(text.replace("p99_ms = 25", "p99_ms = 33"), encoding="utf-8")
    assert limits.read(path)["load_test"].percentiles_ms[0.99] == 33
    assert limits.read()["objective"].percentiles_ms == {0.99: 50}


@pytest.mark.parametrize("text", ["[load_test", "[load_test]\np50_ms = 1\n"])
def test_a_bad_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "slo.toml"
    path.write_text(text)
    with pytest.raises(BadFile, match=r"slo\.toml"):
        limits.read(path)
    with pytest.raises(BadFile, match="No such file"):
        limits.read(tmp_path / "none.toml")
