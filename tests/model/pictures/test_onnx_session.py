"""onnxruntime is used so that it reports to nobody."""

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
