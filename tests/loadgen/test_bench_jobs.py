"""The benchmark of jobs."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_latency_beside_jobs_is_compared_with_latency_alone() -> None:
    small = ("--rounds", "1", "--seconds", "1", "--rate", "50", "--rows-wanted", "2000")
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.bench.jobs", *small, "--limit", "0"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    ratio = re.search(r"p99 beside jobs / p99 alone: (\S+)", done.stdout)
    assert ratio
    assert float(ratio[1]) > 0
    rates = re.findall(r"([\d,]+) rows/s", done.stdout)
    assert len(rates) == 4
    assert all(int(rate.replace(",", "")) > 0 for rate in rates)
