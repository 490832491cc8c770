"""A Docker engine of the tests' own: its images, networks and firewall rules go with it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loadgen.common.processes import Program
from tests.support.paths import ROOT

# Images are kept from run to run; `make clean` removes them.
_DATA: Final = ROOT / "build/stack"
_NEEDED: Final = ("dockerd", "docker", "iptables", "mmdebstrap")
_PATH: Final = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # noqa: TID251 - where dockerd finds iptables
_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")


def missing() -> str:
    """Why no engine can be started here; empty when one can."""
    if os.geteuid():
        return "a Docker engine is started by root only"
    lacking = [name for name in _NEEDED if not shutil.which(name, path=_PATH)]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    if Path("/var/run/docker.sock").exists() and _run("docker", "info").returncode == 0:
        return "an engine runs already, and the images of these tests are not to get into it"
    return ""


class Engine(Program):
    """A running engine. `environment` is what its clients need."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        socket = f"unix://{folder}/docker.sock"
        self.environment = {
            "PATH": _PATH, "HOME": str(folder), "DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0",
        }  # fmt: skip
        super().__init__(
            ["dockerd", "--data-root", str(_DATA), "--exec-root", str(folder / "exec"),
             "--pidfile", str(folder / "pid"), "--host", socket],
            folder, self.log, {"PATH": _PATH},
        )  # fmt: skip

    def wait_ready(self) -> None:
        """Wait until it answers."""
        self.wait_until(self._answers)

    def _answers(self) -> bool:
        return _run("docker", "info", env=self.environment).returncode == 0

    def docker(self, *arguments: str, timeout: float = 600) -> str:
        """What a command of the client says. It must succeed."""
        done = _run("docker", *arguments, env=self.environment, timeout=timeout)
        assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def running() -> Iterator[Engine]:
    """An engine for a while. Network devices and firewall are then as they were."""
    _DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stack-") as name, _network_as_before():
        engine = Engine(Path(name))
        try:
            engine.wait_ready()
            yield engine
        finally:
            engine.close()


@contextmanager
def _network_as_before() -> Iterator[None]:
    rules, forward, devices = _rules(), _FORWARD.read_text(), _bridges()
    try:
        yield
    finally:
        _run("iptables-restore", input_=rules)
        _FORWARD.write_text(forward)
        for device in _bridges() - devices:
            _run("ip", "link", "delete", device)


def _rules() -> str:
    """The firewall's rules, with the two tables that Docker writes to even if they are empty."""
    saved = _run("iptables-save").stdout
    empty = {
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    }
    for table, chains in empty.items():
        if f"*{table}\n" not in saved:
            policies = "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains)
            saved += f"*{table}\n{policies}COMMIT\n"
    return saved


def _bridges() -> set[str]:
    names = (path.name for path in Path("/sys/class/net").iterdir())
    return {name for name in names if name == "docker0" or name.startswith("br-")}


def _run(
    *command: str, env: dict[str, str] | None = None, input_: str | None = None,
    timeout: float = 60,
) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    return subprocess.run(
        command, env=env or {**os.environ, "PATH": _PATH}, input=input_,  # noqa: TID251
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
