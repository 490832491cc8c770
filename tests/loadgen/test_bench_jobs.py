"""The benchmark of jobs."""

import re
import subprocess
import sys

import pytest

from loadgen.bench import counting
from service.jobs import processes
from tests.support.paths import ROOT


def test_programs_that_count_are_as_nice_as_jobs() -> None:
    assert counting.NICENESS == processes.NICENESS


@pytest.mark.slow
def test_latency_beside_jobs_is_compared_with_latency_alone() -> None:
    small = ("--rounds", "1", "--seconds", "1", "--rate", "50", "--rows-wanted", "2000")
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.bench.jobs", *small, "--limit", "0"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    ratios = re.findall(r"p99 beside jobs / p99 (.+): (\S+)", done.stdout)
    assert [name for name, _ in ratios] == ["alone", "beside programs that count"]
    assert all(float(ratio) > 0 for _, ratio in ratios)
    rates = re.findall(r"([\d,]+) rows/s", done.stdout)
    assert len(rates) == 4
    assert all(int(rate.replace(",", "")) > 0 for rate in rates)
