"""The benchmark's arithmetic, and a small run of the whole of it."""

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from loadgen.bench import check, evaluators, options, picture, report, summary, wrk
from loadgen.bench.measure import Measurement
from loadgen.bench.run import Results, rotated
from loadgen.bench.targets import TARGETS, Target
from loadgen.common import rows, usage
from loadgen.common.errors import CannotStart, WrongAnswers
from model import manifests
from model.regno import RegnoScorer
from model.regno.manifest_builder import complete
from tests.support import toys
from tests.support.bench_rows import READING, write_csv

ROOT = Path(__file__).parents[2]
BENCH = (sys.executable, "-m", "loadgen.bench")
LIMIT = (sys.executable, "-m", "loadgen.bench.limits.evaluators")
EVALUATED = [evaluators.summary(32, {"catboost": [12.0, 9.0, 14.0], "lignum": [1.0, 3.0, 2.0]})]


def measurement(target: str = "service", round_: int = 0, **values: Any) -> Measurement:
    usual = {
        "workers": 2, "connections": 16, "rows": 1, "rps": 1000.0, "p50_ms": 1.0, "p99_ms": 2.0,
        "errors": 0, "cpu_s_per_1000": 0.5, "busiest": 0.5, "others": 0.1,
        "rss_mib": 300.0, "pss_mib": 100.0,
    }  # fmt: skip
    return Measurement(target=target, round=round_, **(usual | values))


def ratio(measurements: list[Measurement], name: str) -> dict[str, Any]:
    return next(result for result in summary.ratios(measurements) if result["name"] == name)


# wrk


def test_the_report_of_wrk_is_its_last_line() -> None:
    output = (
        "Running 1s test @ http://127.0.0.1:1/reg/\n  1 threads and 16 connections\n"
        '{"requests": 1280, "duration_us": 1000500, "p50_us": 10520, "p99_us": 39630,'
        ' "statuses": 3, "sockets": 2, "timeouts": 1}\n'
    )
    load = wrk.parse(output)
    assert load == wrk.Load(1280, 1.0005, 10.52, 39.63, 6)


# Comparing answers


def test_equal_scores_differ_by_nothing() -> None:
    assert check.greatest_difference({"a": [0.1, 0.2], "b": [0.1, 0.2]}) == 0.0


def test_scores_within_the_tolerance_pass() -> None:
    assert 0 < check.greatest_difference({"a": [0.1], "b": [0.1 + 5e-13]}) <= check.TOLERANCE


@pytest.mark.parametrize("other", [0.2 + 1e-9, float("nan")])
def test_other_scores_are_refused_by_row_and_name(other: float) -> None:
    with pytest.raises(WrongAnswers, match=r"row 1 differ.*service 0\.2, fastapi"):
        check.greatest_difference({"service": [0.1, 0.2], "fastapi": [0.1, other]})


# Medians and ratios


def test_medians_are_taken_over_the_rounds_of_one_load() -> None:
    rates = [measurement(round_=n, rps=rps) for n, rps in enumerate((900.0, 100.0, 1000.0))]
    other = measurement(connections=64, rps=5.0)
    first, second = summary.medians([*rates, other])
    assert (first["connections"], first["rps"]) == (16, 900.0)
    assert (second["connections"], second["rps"]) == (64, 5.0)


def test_errors_are_added_up_over_the_rounds() -> None:
    (row,) = summary.medians([measurement(round_=n, errors=n) for n in range(4)])
    assert row["errors"] == 6


def test_a_ratio_is_taken_within_each_round() -> None:
    pairs = [(1000.0, 500.0), (100.0, 100.0), (900.0, 300.0)]
    measured = [
        measurement(name, number, rps=rps)
        for number, pair in enumerate(pairs)
        for name, rps in zip(("service", "fastapi"), pair, strict=True)
    ]
    result = ratio(measured, "rps service ÷ fastapi @16")
    assert result["per_round"] == [2.0, 1.0, 3.0]
    assert result["median"] == 2.0


def test_latency_ratios_leave_out_other_loads() -> None:
    measured = [
        measurement(p99_ms=3.0),
        measurement(p99_ms=99.0, connections=64),
        measurement("fastapi", p99_ms=6.0),
    ]
    assert ratio(measured, "p99 service ÷ fastapi @16")["per_round"] == [0.5]


def test_what_was_not_measured_has_no_ratio() -> None:
    assert summary.ratios([measurement()]) == []
    assert summary.ratios([measurement(), measurement("fastapi", rps=0.0, p99_ms=0.0)]) == []


def test_arrays_are_compared_with_the_best_rate_of_single_rows() -> None:
    measured = [
        measurement(connections=1, rps=100.0),
        measurement(connections=64, rps=500.0),
        measurement("nginx", connections=64, rps=9000.0),
        measurement(connections=4, rows=1000, rps=20.0),
    ]
    result = ratio(measured, "rows/s in arrays of 1000 ÷ best single-row rps")
    assert result["per_round"] == [40.0]


def test_arrays_are_compared_with_a_process_without_a_server() -> None:
    measured = [
        measurement(workers=1, rows=1000, cpu_s_per_1000=20.0),
        measurement("columns", workers=1, rows=1000, cpu_s_per_1000=15.0),
    ]
    result = ratio(measured, "CPU a row columns ÷ service in arrays of 1000")
    assert (result["workers"], result["per_round"]) == (1, [0.75])


def test_evaluators_are_compared_within_each_round() -> None:
    (found,) = EVALUATED
    assert (found["catboost_us"], found["lignum_us"]) == (12.0, 2.0)
    assert found["per_round"] == [12.0, 3.0, 7.0]
    assert found["ratio"] == 7.0


def test_other_numbers_of_workers_are_not_compared() -> None:
    measured = [measurement(workers=1), measurement("fastapi", workers=2)]
    assert summary.ratios(measured) == []


def test_the_busiest_process_is_the_one_with_most_cpu_in_between() -> None:
    assert usage.busiest_share({1: 5.0, 2: 1.0}, {1: 6.0, 2: 2.0, 3: 2.0}) == 0.5
    assert usage.busiest_share({1: 5.0}, {1: 5.0}) == 0.0


# A run


def test_each_target_is_first_in_its_turn() -> None:
    targets = list(TARGETS.values())
    assert [rotated(targets, n)[0] for n in range(8)] == [*targets, targets[0]]
    assert all(sorted(rotated(targets, n)) == sorted(targets) for n in range(7))


def test_a_missing_package_is_named() -> None:
    target = Target("other", ("json", "no_such_package"), lambda _port, _setup: [])
    with pytest.raises(CannotStart, match=r"other needs .*: no_such_package$"):
        target.require()


def test_options_override_the_preset_quick() -> None:
    quick = options.parse(["--quick", "--seconds", "2", "--env", "A=b=c"])
    assert (quick.rounds, quick.seconds, quick.connections) == (1, 2, (1, 16))
    assert quick.env == {"A": "b=c"}
    assert options.parse(["--connections", "64,8", "--bulk", ""]).connections == (8, 64)
    assert options.parse(["--workers", "4,1"]).worker_counts == (1, 4)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--targets", "nobody"],
        ["--rounds", "0"],
        ["--workers", ""],
        ["--env", "NAME"],
        ["--connections", "1,x"],
    ],
)
def test_a_bad_option_ends_the_program(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options.parse(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_report_and_the_picture_show_every_target(tmp_path: Path) -> None:
    measured = [
        measurement(name, n, workers=workers, connections=c)
        for n in range(2)
        for workers in (1, 2)
        for name in TARGETS
        for c in (1, 16, 64)
    ]
    measured += [measurement(round_=n, rows=100) for n in range(2)]
    about = {
        "cpu": "Some CPU", "cores": 2, "memory_gib": 4.0, "kernel": "6", "python": "3.11",
        "load_average_before": [0.1, 0.1, 0.1], "date": "2021-08-01T00:00:00+00:00",
    }  # fmt: skip
    content = report.as_json(options.parse([]), about, Results(measured, 0.0, 100, EVALUATED))
    text = report.as_text(content)
    assert all(name in text for name in (*TARGETS, "Some CPU", "p99 service ÷ fastapi @16"))
    assert text.splitlines()[-1].split() == ["32", "12.0", "2.0", "7.0", "12.0", "3.0", "7.0"]
    report.write(content, tmp_path / "bench.json")
    picture.draw(content, tmp_path / "bench.png")
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(json.dumps(content))
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_both_evaluators_are_measured_on_a_model_without_texts(tmp_path: Path) -> None:
    path = toys.save(toys.train(("hour", "afts_regno_ai_score", "ai_len")), tmp_path)
    manifests.write(complete(RegnoScorer.load(path), path), tmp_path / manifests.FILE_NAME)
    readings = rows.read(write_csv(tmp_path / "rows.csv", READING, READING))
    (tmp_path / "array.json").write_bytes(rows.array(readings))
    done = subprocess.run(
        [*LIMIT, str(path), str(tmp_path / "array.json"), "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for found in (evaluators.summary(int(n), of) for n, of in json.loads(done.stdout).items()):
        assert min(found["catboost_us"], found["lignum_us"], found["ratio"]) > 0


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_quick_run_measures_every_target_without_errors(tmp_path: Path) -> None:
    plates = ("А123ВС77", "АВ12345", "ТАВ12345", "1234АВ77", "123CD456", "Ё123ВС77", "", "D0D0")
    hours = (f"2021-08-{number:02} {number:02}:02:59" for number in range(1, 9))
    readings = [
        READING | {"afts_regno_ai": plate, "time_check": time}
        for plate, time in zip(plates, hours, strict=True)
    ]
    path = write_csv(tmp_path / "rows.csv", *readings)
    # However busy the machine is, no request must be rejected.
    patient = ("--env", "SCORING_MAX_WAIT_MS=10000")
    small = ("--quick", "--workers", "2", "--connections", "16", "--bulk", "10")
    done = subprocess.run(
        [*BENCH, *small, "--rows", str(path), "--out", str(tmp_path), *patient],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "bench.json").read_text())
    assert (tmp_path / "bench.png").stat().st_size > 10_000
    names = "workers", "target", "connections", "rows"
    assert {tuple(row[name] for name in names) for row in content["medians"]} == {
        *product((2,), TARGETS, (16,), (1,)),
        *product((2,), ("service", "columns"), (4,), (10,)),
    }
    assert content["errors"] == 0
    assert content["greatest_difference"] <= check.TOLERANCE
    assert all(row["rps"] > 0 and row["cpu_s_per_1000"] > 0 for row in content["medians"])
    assert [row["rows"] for row in content["evaluators"]] == [1, 32]
    assert all(row["lignum_us"] > 0 and row["ratio"] > 0 for row in content["evaluators"])
    assert ratio_names(content) >= {"rps service ÷ fastapi @16", "p99 service ÷ fastapi @16"}


def ratio_names(content: dict[str, Any]) -> set[str]:
    return {result["name"] for result in content["ratios"]}
