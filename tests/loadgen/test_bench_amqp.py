"""The benchmark of requests over AMQP."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_the_same_requests_are_measured_over_both_ways(broker_url: str) -> None:
    small = ("--rounds", "1", "--seconds", "1", "--callers", "4")
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.bench.amqp", broker_url, *small],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for way in ("HTTP", "AMQP"):
        assert re.search(rf"^{way}: +[1-9]\d* requests/s, p50 ", done.stdout, re.MULTILINE)
    assert re.search(r"^p99 of AMQP / p99 of HTTP: \d", done.stdout, re.MULTILINE)
