"""The copy that workers keep of what their host serves, while all of them change over at once."""

import logging
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.rollout.local_copy import MANIFEST, LocalCopy
from tests.support.paths import ROOT

MODEL = "model.cbm"
_BYTES = 200_000
# Keeps one version after the other, and prints what is wrong with what it then finds.
_WORKER = """
import logging, sys
from pathlib import Path
from service.rollout.local_copy import LocalCopy
logging.basicConfig(stream=sys.stdout)
folder, sources, *versions = sys.argv[1:]
kept = LocalCopy(Path(folder), "model.cbm", "regno")
for version in versions:
    kept.keep(version, Path(sources) / version)
    path = kept.model(version)  # None once another worker has kept another
    try:
        content = path.read_bytes() if path else b""
    except FileNotFoundError:
        content = b""
    if content and content != version.encode() * len(content):
        print("not whole:", version)
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Versions 0 to 9, each of one digit repeated."""
    for version in map(str, range(10)):
        folder = tmp_path / "sources" / version
        folder.mkdir(parents=True)
        (folder / MODEL).write_bytes(version.encode() * _BYTES)
        (folder / MANIFEST).write_bytes(version.encode())
    return tmp_path / "sources"


@pytest.fixture
def kept(tmp_path: Path) -> LocalCopy:
    (tmp_path / "kept").mkdir()
    return LocalCopy(tmp_path / "kept", MODEL, "regno")


def _worker(kept: LocalCopy, sources: Path, versions: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, kept._folder, sources, *versions],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_many_workers_can_keep_different_versions_at_once(kept: LocalCopy, sources: Path) -> None:
    dice = random.Random(5)
    orders = [[str(dice.randrange(10)) for _ in range(60)] for _ in range(6)]
    workers = [_worker(kept, sources, order) for order in orders]
    assert [worker.communicate(timeout=120)[0] for worker in workers] == [""] * 6
    assert [worker.returncode for worker in workers] == [0] * 6
    (place,) = kept._folder.glob("serving-*")
    version = place.name.removeprefix("serving-regno:")
    assert version in {order[-1] for order in orders}
    assert (place / MODEL).read_bytes() == version.encode() * _BYTES
    assert (place / MANIFEST).read_bytes() == version.encode()
    assert sorted(p.name for p in kept._folder.iterdir()) == ["copying.lock", place.name]


def test_what_a_worker_left_that_died_is_removed(kept: LocalCopy, sources: Path) -> None:
    dead = _worker(kept, sources, [str(n % 10) for n in range(100_000)])
    while not list(kept._folder.glob("serving-*")):
        assert dead.poll() is None
    os.kill(dead.pid, signal.SIGKILL)
    dead.communicate()
    left = kept._folder / "copying"
    left.mkdir(exist_ok=True)
    (left / MODEL).write_bytes(b"half")
    kept.keep("7", sources / "7")
    assert sorted(p.name for p in kept._folder.iterdir()) == ["copying.lock", "serving-regno:7"]
    model = kept.model("7")
    assert model
    assert model.read_bytes() == b"7" * _BYTES


@pytest.mark.parametrize("lost", [MODEL, MANIFEST, "."])
def test_a_registry_that_is_gone_is_no_failure(
    lost: str, kept: LocalCopy, sources: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept.keep("1", sources / "1")
    (sources / "2" / lost).rename(sources / "elsewhere")
    with caplog.at_level(logging.WARNING):
        kept.keep("2", sources / "2")
    message = "No copy of 2, a new worker needs the registry: No such file or directory"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("WARNING", message)]
    assert kept.model("2") is None
    assert kept.model("1"), "better than none"


def test_a_full_disk_leaves_no_partial_copy(
    kept: LocalCopy,
    sources: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with caplog.at_level(logging.WARNING):
        kept.keep("1", sources / "1")
    assert caplog.records[0].getMessage().endswith("No space left on device")
    assert [p.name for p in kept._folder.iterdir()] == ["copying.lock"]
