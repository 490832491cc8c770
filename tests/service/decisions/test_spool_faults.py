"""A spool on a disk that fails now and then: what was replied to is in the log, exactly once."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from loadgen.common.options import ROOT
from service.decisions.log import DecisionLog
from service.decisions.segments import framed, read, segments
from service.decisions.sink import Sink
from tests.support import decisions
from tests.support.commands import environment

ENOSPC, EIO = 28, 5


def record(folder: Path, call: str, error: int, share: float) -> list[str]:
    """Offer 300 rows in a process whose calls fail: the ids of those that were replied to."""
    program = [sys.executable, "-m", "tests.support.recording"]
    arguments = [str(folder / "log"), "300", call, str(error), str(share)]
    # With jemalloc's thread the faulty malloc of libfiu may wait for itself.
    settings = environment(folder, {"JE_ARROW_MALLOC_CONF": "background_thread:false"})
    done = subprocess.run(
        ["fiu-run", "-x", "-f", "", *program, *arguments],
        check=True, cwd=ROOT, env=settings, stdout=subprocess.PIPE, timeout=100,
    )  # fmt: skip
    return done.stdout.decode().split()


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", ["posix/io/rw/write", "posix/io/sync/fdatasync", "posix/io/oc/open"]
)
@pytest.mark.parametrize("error", [ENOSPC, EIO])
def test_a_failing_disk_loses_no_decision_that_was_replied(
    tmp_path: Path, call: str, error: int
) -> None:
    replied = record(tmp_path, call, error, 0.1)
    log = DecisionLog(tmp_path / "log")
    with log.locked():
        shipped = list(Sink(log).ship())
    logged = decisions.ids(log)
    assert sum(each.damaged_bytes + each.unreadable for each in shipped) == 0
    assert len(set(logged)) == len(logged)
    assert set(replied) <= set(logged)
    assert replied
    if call.endswith("write"):  # of 300, which all succeed once in 10^13 runs
        assert len(replied) < 300
    assert segments(tmp_path / "log" / "spool") == []
    assert list(log.check()) == []
    log.close()


def test_a_damaged_byte_in_ten_thousand_segments_costs_one_entry_each(tmp_path: Path) -> None:
    log, random = DecisionLog(tmp_path), Random(18)
    frames = [decisions.sealed(log, decisions.decision(number)) for number in range(4)]
    content = b"".join(map(framed, frames))
    lengths = [len(framed(frame)) for frame in frames]
    for _ in range(10_000):
        damaged, place = bytearray(content), random.randrange(len(content))
        damaged[place] ^= random.randrange(1, 256)
        piece = read(bytes(damaged), closed=True)
        hit = next(at for at in range(4) if place < sum(lengths[: at + 1]))
        assert piece.frames == [*frames[:hit], *frames[hit + 1 :]]
        assert (piece.end, piece.damaged) == (len(content), lengths[hit])
    log.close()
