"""What is done to a service that runs: each returns a few words on how that went."""

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, Final

import psutil

from loadgen.common.errors import CannotStart
from loadgen.common.service import KEY, METRICS_TOKEN, Server

OTHER_VERSION: Final = "the-same-again"
_PATIENCE: Final = 30.0
_GLANCE: Final = 0.05
_UP: Final = re.compile(r"^scoring_worker_up\{.*\} 1\.0$", re.MULTILINE)
# Shorter than a stage less the two seconds before it: the next one begins undisturbed.
_LASTS: Final = 9.0
_SCRAPE_EVERY: Final = 0.1
_SLOW_CLIENTS: Final = 50
_DRIP_EVERY: Final = 0.5


def kill_a_worker(server: Server) -> str:
    """Kill one with -9, as the kernel does when memory is short."""
    before = _workers(server)
    began = time.monotonic()
    os.kill(before[0], signal.SIGKILL)
    _wait_for_successors(server, before[:1], len(before))
    return f"replaced within {time.monotonic() - began:.1f} s"


def reload_all(server: Server) -> str:
    """HUP: all workers are replaced at once, each when its requests have ended."""
    before = _workers(server)
    began = time.monotonic()
    os.kill(server.pid, signal.SIGHUP)
    _wait_for_successors(server, before, len(before))
    return f"{len(before)} workers replaced within {time.monotonic() - began:.1f} s"


def restart_in_turn(server: Server) -> str:
    """TERM to one worker after the other, each when the one before has a successor."""
    before = _workers(server)
    began = time.monotonic()
    for pid in before:
        os.kill(pid, signal.SIGTERM)
        _wait_for_successors(server, [pid], len(before))
    return f"{len(before)} workers in turn within {time.monotonic() - began:.1f} s"


def scrape_often(server: Server) -> str:
    """Read the metrics ten times a second; as often as they come, if that is less."""
    until, count = time.monotonic() + _LASTS, 0
    while time.monotonic() < until:
        due = time.monotonic() + _SCRAPE_EVERY
        _metrics(server)
        count += 1
        time.sleep(max(0.0, due - time.monotonic()))
    return f"{count} scrapes in {_LASTS:g} s"


def hold_connections(server: Server) -> str:
    """Clients that send a body a byte at a time, and never all of it."""
    head = (
        "POST /reg/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"x-api-key: {KEY}\r\nContent-Length: 1000\r\n\r\n"
    )
    until = time.monotonic() + _LASTS
    with ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        clients = [
            stack.enter_context(socket.create_connection(address)) for _ in range(_SLOW_CLIENTS)
        ]
        for client in clients:
            client.sendall(head.encode())
        while time.monotonic() < until:
            for client in clients:
                with suppress(OSError):  # the service may have had enough of it
                    client.sendall(b" ")
            time.sleep(_DRIP_EVERY)
    return f"{_SLOW_CLIENTS} of them for {_LASTS:g} s"


def swap_the_model(server: Server) -> str:
    """Promote another version over HTTP, and go back when all workers serve it."""
    workers, words = len(_workers(server)), []
    for path, body, name in (
        ("/model/promote", {"version": OTHER_VERSION, "note": "chaos"}, "another version"),
        ("/model/rollback", {"note": "chaos"}, "back"),
    ):
        before = _model(server)["version"]
        began = time.monotonic()
        _model(server, path, body)
        _wait_for_another_version(server, before, workers)
        words.append(f"{name} in all workers within {time.monotonic() - began:.1f} s")
    return ", ".join(words)


# By the names of the stages in shapes.toml.
FAULTS: Final[dict[str, Callable[[Server], str]]] = {
    "worker killed": kill_a_worker,
    "HUP": reload_all,
    "rolling restart": restart_in_turn,
    "model swapped": swap_the_model,
    "ten scrapes a second": scrape_often,
    "slow clients": hold_connections,
}


def _workers(server: Server) -> list[int]:
    return sorted(process.pid for process in psutil.Process(server.pid).children())


def _metrics(server: Server) -> str:
    bearer = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    page = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", headers=bearer)
    with urllib.request.urlopen(page, timeout=_PATIENCE) as reply:  # noqa: S310 - of our own
        text: str = reply.read().decode()
    return text


def _model(server: Server, path: str = "/model", body: dict[str, str] | None = None) -> Any:
    """What the service tells of its model, or answers to a change of it. Raises CannotStart."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"x-api-key": KEY, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE) as reply:  # noqa: S310
            return json.load(reply)["body"]
    except urllib.error.HTTPError as error:
        raise CannotStart(f"{path}: {error.code} {error.read().decode()}") from error


def _wait_for_another_version(server: Server, old: str, wanted: int) -> None:
    """Until so many workers serve another version, all the same."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        serving = [worker["serving"]["version"] for worker in _model(server)["workers"]]
        if old not in serving and len(serving) == wanted and len(set(serving)) == 1:
            return
        if time.monotonic() > deadline:
            raise CannotStart(f"after {_PATIENCE:g} s the workers served {', '.join(serving)}")
        time.sleep(_GLANCE)


def _wait_for_successors(server: Server, old: list[int], wanted: int) -> None:
    """Until the old are gone and as many as wanted serve, which is later than that they run."""
    deadline = time.monotonic() + _PATIENCE
    while set(old) & set(_workers(server)) or _serving(server) < wanted:
        if time.monotonic() > deadline:
            raise CannotStart(f"no {wanted} workers served within {_PATIENCE:g} s")
        time.sleep(_GLANCE)


def _serving(server: Server) -> int:
    """How many workers have warmed up and accept, by the service's own word."""
    return len(_UP.findall(_metrics(server)))
