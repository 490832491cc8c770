"""The number of workers follows the quota of the cgroup."""

import os
from pathlib import Path

import pytest

from service.runtime import cpu_quota

_CORES = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def _v2(root: Path, text: str) -> Path:
    (root / "cpu.max").write_text(text)
    return root


def _v1(root: Path, quota: str, period: str) -> Path:
    (root / "cpu").mkdir()
    (root / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (root / "cpu" / "cpu.cfs_period_us").write_text(period)
    return root


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("100001 100000\n", 2),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("800000 100000\n", 8),
        ("6400000 100000\n", 8),
        ("25000 10000\n", 3),
        *((broken, 8) for broken in ("", "max", "x y", "100000", "1 2 3")),
    ],
)
def test_a_quota_of_version_two(text: str, count: int, tmp_path: Path) -> None:
    assert cpu_quota.available(_v2(tmp_path, text)) == count


@pytest.mark.parametrize(
    ("quota", "period", "count"),
    [
        ("-1\n", "100000\n", 8),
        ("200000\n", "100000\n", 2),
        ("150000\n", "100000\n", 2),
        ("10000\n", "100000\n", 1),
        ("9900000\n", "100000\n", 8),
        ("x", "100000", 8),
        ("", "", 8),
        ("0", "100000", 8),
    ],
)
def test_a_quota_of_version_one(quota: str, period: str, count: int, tmp_path: Path) -> None:
    assert cpu_quota.available(_v1(tmp_path, quota, period)) == count


def test_without_a_cgroup_it_is_the_cores(tmp_path: Path) -> None:
    assert cpu_quota.available(tmp_path) == 8
    assert cpu_quota.available(tmp_path / "none") == 8


def test_here_it_is_at_least_one_and_at_most_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= cpu_quota.available() <= _CORES
