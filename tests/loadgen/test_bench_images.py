"""The benchmark of pictures."""

import re
import subprocess
import sys

import pytest

from loadgen.bench.callers import Work, at_a_rate, at_full_speed, lasting, percentile
from loadgen.common.errors import WrongAnswers
from tests.support.paths import ROOT


@pytest.mark.slow
def test_pictures_are_measured_over_both_ways_and_plates_with_them(broker_url: str) -> None:
    small = ("--quick", "--rate", "50", "--workers", "1", "--callers", "4", "--limit", "0")
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.bench.images", broker_url, *small],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    for line in (
        r"  HTTP: (\d+) requests/s; at half of it p50 (\S+) ms, p99 (\S+) ms",
        r"  AMQP: (\d+) requests/s; at half of it p50 (\S+) ms, p99 (\S+) ms",
        r"photos, 16 callers: (\S+)/s",
        r"  for each second of the CPU, decoding included: (\S+)",
        r"  onnxruntime alone: (\S+) pictures/s of the CPU",
        r"  beside programs that count, one for each core: p99 (\S+) ms",
        r"  p99 beside photos / p99 alone: (\S+)",
    ):
        found = re.search(f"^{line}$", done.stdout, re.MULTILINE)
        assert found, done.stdout
        assert all(float(number) > 0 for number in found.groups())


def test_callers_share_a_schedule_and_look_at_each_reply() -> None:
    sent: list[int] = []
    work = Work([1, 2, 3], [2, 4, 6], callers=3)

    def call(item: int) -> int:
        sent.append(item)
        return 2 * item

    assert len(at_a_rate(lambda: call, work, 100, 0.3)) == 30
    assert sorted(sent) == [1] * 10 + [2] * 10 + [3] * 10
    times = at_full_speed(lambda: call, work, lasting(0.01))
    assert times == sorted(times)
    with pytest.raises(WrongAnswers, match="7"):
        at_full_speed(lambda: lambda _: 7, work, lasting(1))


def test_percentiles_are_in_milliseconds() -> None:
    assert percentile([0.001 * number for number in range(1, 102)], 0.5) == pytest.approx(51)
