"""The faults that are injected into a running service; each returns its outcome."""

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
_TIMEOUT: Final = 30.0
_POLL_SECONDS: Final = 0.05
_UP: Final = re.compile(r"^scoring_worker_up\{.*\} 1\.0$", re.MULTILINE)
# Shorter than a stage less its first two seconds: the next stage begins without a fault.
_DURATION: Final = 9.0
_SCRAPE_EVERY: Final = 0.1
_SLOW_CLIENTS: Final = 50
_DRIP_EVERY: Final = 0.5


def kill_a_worker(server: Server) -> str:
    """Kill a worker with -9, as the kernel does when memory is short."""
    before = _workers(server)
    began = time.monotonic()
    os.kill(before[0], signal.SIGKILL)
    _wait_for_successors(server, before[:1], len(before))
    return f"replaced within {time.monotonic() - began:.1f} s"


def reload_all(server: Server) -> str:
    """HUP: all workers are replaced at once, each after its requests have ended."""
    before = _workers(server)
    began = time.monotonic()
    os.kill(server.pid, signal.SIGHUP)
    _wait_for_successors(server, before, len(before))
    return f"{len(before)} workers replaced within {time.monotonic() - began:.1f} s"


def restart_in_turn(server: Server) -> str:
    """TERM to each worker, after its predecessor has a successor."""
    before = _workers(server)
    began = time.monotonic()
    for pid in before:
        os.kill(pid, signal.SIGTERM)
        _wait_for_successors(server, [pid], len(before))
    return f"{len(before)} workers in turn within {time.monotonic() - began:.1f} s"


def scrape_often(server: Server) -> str:
    """Scrape the metrics ten times a second, or as often as the service can."""
    until, count = time.monotonic() + _DURATION, 0
    while time.monotonic() < until:
        due = time.monotonic() + _SCRAPE_EVERY
        _metrics(server)
        count += 1
        time.sleep(max(0.0, due - time.monotonic()))
    return f"{count} scrapes in {_DURATION:g} s"


def hold_connections(server: Server) -> str:
    """Clients that send a body byte by byte and never complete it."""
    head = (
        "POST /reg/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"x-api-key: {KEY}\r\nContent-Length: 1000\r\n\r\n"
    )
    until = time.monotonic() + _DURATION
    with ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        clients = [
            stack.enter_context(socket.create_connection(address)) for _ in range(_SLOW_CLIENTS)
        ]
        for client in clients:
            client.sendall(head.encode())
        while time.monotonic() < until:
            for client in clients:
                with suppress(OSError):  # the service may have closed it
                    client.sendall(b" ")
            time.sleep(_DRIP_EVERY)
    return f"{_SLOW_CLIENTS} of them for {_DURATION:g} s"


def swap_the_model(server: Server) -> str:
    """Promote another version over HTTP, and roll back when all workers serve it."""
    workers, outcomes = len(_workers(server)), []
    for path, body, name in (
        ("/model/promote", {"version": OTHER_VERSION, "note": "chaos"}, "another version"),
        ("/model/rollback", {"note": "chaos"}, "back"),
    ):
        before = _model(server)["version"]
        began = time.monotonic()
        _model(server, path, body)
        _wait_for_another_version(server, before, workers)
        outcomes.append(f"{name} in all workers within {time.monotonic() - began:.1f} s")
    return ", ".join(outcomes)


# By the names of their stages in shapes.toml.
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
    with urllib.request.urlopen(page, timeout=_TIMEOUT) as reply:  # noqa: S310 - of our own
        text: str = reply.read().decode()
    return text


def _model(server: Server, path: str = "/model", body: dict[str, str] | None = None) -> Any:
    """The reply to GET /model, or to a POST that changes it. Raises CannotStart."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"x-api-key": KEY, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:  # noqa: S310
            return json.load(reply)["body"]
    except urllib.error.HTTPError as error:
        raise CannotStart(f"{path}: {error.code} {error.read().decode()}") from error


def _wait_for_another_version(server: Server, old: str, wanted: int) -> None:
    """Wait until so many workers serve the same other version."""
    deadline = time.monotonic() + _TIMEOUT
    while True:
        serving = [worker["serving"]["version"] for worker in _model(server)["workers"]]
        if old not in serving and len(serving) == wanted and len(set(serving)) == 1:
            return
        if time.monotonic() > deadline:
            raise CannotStart(f"after {_TIMEOUT:g} s the workers served {', '.join(serving)}")
        time.sleep(_POLL_SECONDS)


def _wait_for_successors(server: Server, old: list[int], wanted: int) -> None:
    """Wait until the old workers are gone and as many as wanted are warm and accept."""
    deadline = time.monotonic() + _TIMEOUT
    while set(old) & set(_workers(server)) or _serving(server) < wanted:
        if time.monotonic() > deadline:
            raise CannotStart(f"no {wanted} workers served within {_TIMEOUT:g} s")
        time.sleep(_POLL_SECONDS)


def _serving(server: Server) -> int:
    """The number of workers that are warm and accept, by the service's metrics."""
    return len(_UP.findall(_metrics(server)))
