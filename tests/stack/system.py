"""The system of docker-compose.yml, brought up for the tests."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from loadgen.common.processes import free_port
from tests.stack.engine import Engine
from tests.support.paths import ROOT

_BIN: Final = Path(sys.executable).parent
PROJECT: Final = "stack-test"
# Options of Compose for all that the file describes.
ALL: Final = tuple(
    text for name in ("load", "queue", "images", "train") for text in ("--profile", name)
)


def compose_binary() -> str:
    """Compose as a program: the one that the tests installed."""
    path = shutil.which("docker-compose", path=f"{_BIN}:{os.environ['PATH']}")  # noqa: TID251
    assert path, "docker-compose is not installed: make setup"
    return path


def configuration(dotenv: Path, *arguments: str) -> dict[str, Any]:
    """docker-compose.yml as Compose understands it; needs no engine."""
    done = subprocess.run(
        [compose_binary(), "--env-file", str(dotenv), *arguments, "config", "--format", "json"],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def lines_of(heading: str) -> dict[str, str]:
    """The lines of `.env` that a section of docs/operating.md names."""
    page = (ROOT / "docs/operating.md").read_text("utf-8")
    section = page.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    (block,) = re.findall(r"^```\n((?:[A-Z_]+=.+\n)+)```", section, re.MULTILINE)
    return dict(line.split("=", 1) for line in block.splitlines())


class System:
    """A project of Compose on an engine, with secrets and certificates of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.ports = {name: free_port() for name in ("edge", "grafana", "prometheus", "amqp")}
        self.settings = {
            "STACK_EDGE": f"127.0.0.1:{self.ports['edge']}",
            "STACK_GRAFANA": f"127.0.0.1:{self.ports['grafana']}",
            "STACK_PROMETHEUS_PORT": str(self.ports["prometheus"]),
            "STACK_AMQP": f"127.0.0.1:{self.ports['amqp']}",
            "STACK_SECRETS": str(folder / "secrets"),
            # A CPU on any machine; the default is more.
            "STACK_CPUS": "1",
            "LOADGEN_WORKERS": "2",
        }
        self.make_env()

    def make_env(self, arguments: str = "") -> str:
        """What `make env` says."""
        make = ["make", "env", f"INTO={self.folder}", f"ARGS={arguments}"]
        done = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def compose(self, *arguments: str, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
        """Run Compose; its exit code is the caller's to judge."""
        environment = {**self.engine.environment, **self.settings}
        return subprocess.run(
            [compose_binary(), "--project-name", PROJECT, "--env-file", str(self.folder / ".env"),
             *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def must(self, *arguments: str) -> str:
        """What Compose says. It must succeed."""
        done = self.compose(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def as_said(self, heading: str) -> Iterator[None]:
        """The system with the lines of a section of docs/operating.md."""
        said = lines_of(heading)
        self.settings |= said
        self.must("up", "--detach", "--wait", "--wait-timeout", "180")
        yield
        for name in said:
            del self.settings[name]

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine tells of each container of the project, by the service's name."""
        mine = f"label=com.docker.compose.project={PROJECT}"
        ids = self.engine.docker("ps", "--all", "--quiet", "--filter", mine).split()
        inspected = json.loads(self.engine.docker("inspect", *ids)) if ids else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}

    def secret(self, name: str) -> str:
        """The content of a secret's file."""
        return (self.folder / "secrets" / name).read_text().strip()

    def key(self, name: str) -> str:
        """The API key of a caller."""
        keys = dict(line.split(":") for line in self.secret("api_keys").splitlines())
        return keys[name]

    def edge(self) -> httpx.Client:
        """A client of the edge that trusts the test's authority only; close it."""
        trust = ssl.create_default_context(cafile=str(self.folder / "secrets/edge/ca.crt"))
        url = f"https://localhost:{self.ports['edge']}"
        return httpx.Client(base_url=url, verify=trust, timeout=30)

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        url = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/query"
        reply = httpx.get(url, params={"query": query}, timeout=10).json()
        result: list[dict[str, Any]] = reply["data"]["result"]
        return result
