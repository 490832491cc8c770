"""onnxruntime is used so that it reports to nobody, and survives a fork."""

import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

_SCRIPT = """
import os
from model.imagenet import BUNDLED, MODEL
MODEL.load(BUNDLED).validate()
for descriptor in os.listdir("/proc/self/fd"):
    if os.path.exists(f"/proc/self/fd/{descriptor}"):
        print(os.readlink(f"/proc/self/fd/{descriptor}"))
"""

_FORK = """
import os, sys
from model.digits import BUNDLED, MODEL, picture_of_pixels
from model.digits.drawing import Pen, drawn
threads = len(os.listdir("/proc/self/task"))
scorer = MODEL.load(BUNDLED)
picture = picture_of_pixels(drawn(5, Pen(3.0)))
child = os.fork()
if not child:
    sys.exit(scorer.score([picture])[0].prediction)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, scorer.score([picture])[0].prediction, len(os.listdir("/proc/self/task")) - threads)
"""


def test_a_loaded_network_scores_after_a_fork_and_has_no_threads(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORK],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["5", "5", "0"]
    assert done.stderr == ""


def test_scoring_leaves_no_file_of_telemetry_and_opens_no_socket(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pipe:" in done.stdout
    assert "socket:" not in done.stdout
    assert [*home.rglob("*"), *temporary.rglob("*")] == []
