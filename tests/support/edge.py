"""The real nginx with the rendered configuration, as an operator starts it, on 127.0.0.1."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final

import pytest

from loadgen.common.processes import Program, free_port
from tests.support.commands import Done, prefixed, run_module
from tests.support.messages import mentions
from tests.support.paths import ROOT
from tests.support.reply import Reply
from tests.support.server import KEY_HEADER, eventually

_TIMEOUT: Final = 60.0


def assert_refused_by_edge(reply: Reply, status: int, *facts: str) -> None:
    """It must be this error, in the service's envelope, with an id of its own."""
    assert reply.status == status
    assert mentions(reply.reason, *facts)
    assert reply.header("X-Request-Id")
    assert reply.header("Server") == "nginx"


def nginx() -> str:
    """The path of the program; the test fails where there is none."""
    path = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        pytest.fail("nginx is missing (Debian: apt-get install nginx-light)")
    return path


def render(folder: Path, *arguments: str, **settings: str) -> Done:
    """Run `python -m service.edge` in a folder; settings are variables without their prefix."""
    return run_module(folder, "service.edge", *arguments, settings=prefixed("EDGE", settings))


def nginx_says(path: Path) -> Done:
    """The result of `nginx -t` for a configuration."""
    return subprocess.run(
        [nginx(), "-e", "stderr", "-t", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )


def make_certificates(folder: Path, client: str = "client") -> Path:
    """Make certificates as `make certs` does. Returns the folder."""
    subprocess.run(
        [str(ROOT / "deploy/certs.sh"), str(folder), client], capture_output=True, check=True
    )
    return folder


class Edge(Program):
    """A running edge with its own working folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str], user: int | None = None) -> None:
        """`user` is the number of the user it runs as, by default this process's."""
        self.folder = folder
        self.workdir = folder / "work"
        self.workdir.mkdir(parents=True)
        self.port, self.status_port = free_port(), free_port()
        self._given = {
            "listen": f"127.0.0.1:{self.port}",
            "status_listen": f"127.0.0.1:{self.status_port}",
            "workdir": str(self.workdir),
            **settings,
        }
        self.config = folder / "nginx.conf"
        self.render()
        self._out, self._err = folder / "stdout", folder / "stderr"
        # As root, nginx would serve as another user, who may not enter the folders of tests.
        same_user = " user root;" if os.getuid() == 0 and user is None else ""
        if user:
            os.chown(self.workdir, user, user)
        if user:
            self._out.touch()
            os.chown(self._out, user, user)
        super().__init__(
            [nginx(), "-e", "stderr", "-g", f"daemon off;{same_user}", "-c", str(self.config)],
            folder,
            self._out,
            errors=self._err,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )

    def render(self, **changed: str) -> None:
        """Write the configuration, with some settings changed."""
        self._given |= changed
        made = render(self.folder, "--output", str(self.config), **self._given)
        assert (made.returncode, made.stderr) == (0, "")

    def reload(self) -> None:
        """Reload the configuration, and wait until the old workers stop."""
        before = self.errors().count("gracefully shutting down")
        self.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: self.errors().count("gracefully shutting down") > before, "workers are replaced"
        )

    def connection(self, context: ssl.SSLContext | None = None) -> HTTPConnection:
        """A connection that is not open yet; close it."""
        if context:
            return HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self,
        method: str = "GET",
        path: str = "/",
        body: bytes | None = None,
        headers: Mapping[str, str] = KEY_HEADER,
        context: ssl.SSLContext | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        with closing(self.connection(context)) as connection:
            return exchange(connection, method, path, body, headers)

    def status(self, path: str) -> Reply:
        """GET from the address for this machine only."""
        with closing(HTTPConnection("127.0.0.1", self.status_port, timeout=30)) as connection:
            return exchange(connection, "GET", path)

    def wait_ready(self) -> None:
        """Wait until the edge answers."""

        self.wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return self.status("/healthz").status == 200
        except OSError:
            return False

    def log(self) -> list[dict[str, Any]]:
        """The lines of its access log so far."""
        return [json.loads(line) for line in self._out.read_text().splitlines()]

    def errors(self) -> str:
        """Its stderr so far."""
        return self._err.read_text()

    def everything(self) -> str:
        """The content of all its files but the configuration."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path != self.config]
        return "".join(path.read_text(errors="replace") for path in files)

    def stop(self, number: int = signal.SIGQUIT) -> int:
        """Stop it after the requests in flight. Returns its exit code."""
        return super().stop(number)


def exchange(
    connection: HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] = KEY_HEADER,
) -> Reply:
    """Send a request, read the reply."""
    kind = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, body=body, headers={**kind, **headers})
    return Reply.of(connection.getresponse())


@contextmanager
def running(edge: Edge) -> Iterator[Edge]:
    """Wait until an edge is ready; stop it at the end."""
    try:
        edge.wait_ready()
        yield edge
    finally:
        assert edge.stop() == 0, edge.errors()


def before(*ports: int) -> str:
    """The setting that names the service's addresses, on loopback."""
    return ",".join(f"127.0.0.1:{port}" for port in ports)


@contextmanager
def edge_before(folder: Path, *ports: int, **settings: str) -> Iterator[Edge]:
    """A ready edge in front of what listens on these ports of loopback."""
    with running(Edge(folder, {"upstreams": before(*ports), **settings})) as edge:
        yield edge


def raw(edge: Edge, sent: bytes) -> Reply:
    """Bytes on a connection of their own, and one reply."""
    with socket.create_connection(("127.0.0.1", edge.port), 20) as connection:
        connection.sendall(sent)
        response = HTTPResponse(connection)
        response.begin()
        return Reply.of(response)
