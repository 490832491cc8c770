"""The doctor as an operator calls it, and machines that it may look at."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from service.doctor.finding import Finding
from service.doctor.machine import Machine
from tests.support.server import environment

GOOD_KEY = "vb5Qk-w2Lr9Zt_7XcY3nH8sP"
# Root without its powers keeps to the rights of files, as any other user does.
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


class Report:
    """What one run told."""

    def __init__(self, ran: "subprocess.CompletedProcess[str]") -> None:
        assert "Traceback" not in ran.stderr + ran.stdout
        self.code = ran.returncode
        self.text = ran.stdout
        self.errors = ran.stderr

    @property
    def told(self) -> dict[str, Any]:
        """The JSON."""
        told: dict[str, Any] = json.loads(self.text)
        return told

    def __getitem__(self, name: str) -> dict[str, str]:
        """The one finding of a name."""
        (found,) = [finding for finding in self.told["findings"] if finding["name"] == name]
        return dict(found)

    def level(self, name: str) -> str:
        """How bad that is."""
        return self[name]["level"]


def examined(
    folder: Path, *arguments: str, through: tuple[str, ...] = (), **settings: str
) -> Report:
    """Run the doctor in a folder, `through` a command that takes rights or limits away."""
    named = {f"SCORING_{name.upper()}": value for name, value in settings.items()}
    return Report(
        subprocess.run(
            [*through, sys.executable, "-m", "service.doctor", *arguments],
            cwd=folder,
            env=environment(folder, named),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )


def machine(root: Path, files: dict[str, str]) -> Machine:
    """A machine whose kernel tells what these files hold, and nothing else."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(root)


def only(findings: "Any") -> Finding:
    """The finding of a check that has one."""
    (found,) = findings
    assert isinstance(found, Finding)
    assert bool(found.mend) or found.level in ("ok", "unknown"), "what is wrong can be mended"
    return found


def reachable(folder: Path) -> Path:
    """A folder that other users can get into, its own mode and those above it allowing."""
    for part in (folder, *folder.parents):
        if part.stat().st_uid == os.geteuid() and part != part.parent:
            part.chmod(part.stat().st_mode | 0o011)
    return folder
