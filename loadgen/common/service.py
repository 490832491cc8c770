"""The scoring service as a measurement starts it, on a port of 127.0.0.1."""

import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from loadgen.common import client, processes, usage

COMMAND: Final = (sys.executable, "-m", "service")
_WEB: Final = (sys.executable, "-m", "service.web")
_AMQP: Final = (sys.executable, "-m", "service.amqp")
KEY_NAME: Final = "bench"
KEY: Final = "key-of-the-benchmark"
METRICS_TOKEN: Final = "token-of-the-benchmark"  # noqa: S105 - of servers that live for seconds


class Server(NamedTuple):
    """A running target: `port` on 127.0.0.1, `pid` of the root of its processes."""

    name: str
    port: int
    pid: int


def settings(port: int, model: Path, workers: int) -> dict[str, str]:
    """The environment variables of a service on this port."""
    return {
        "SCORING_HOST": "127.0.0.1",
        "SCORING_PORT": str(port),
        "SCORING_WORKERS": str(workers),
        "SCORING_MODEL": str(model),
        "SCORING_API_KEYS": f"{KEY_NAME}:{KEY}",
        "SCORING_METRICS_TOKEN": METRICS_TOKEN,
    }


@contextmanager
def running(
    model: Path,
    workers: int,
    body: bytes,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """A service that scores `body` and is idle; `more` are further settings. Raises CannotStart."""
    port = processes.free_port()
    with (
        tempfile.TemporaryDirectory(prefix="service-") as folder,
        processes.running(
            COMMAND,
            Path(folder) / "log",
            lambda: scores(port, body),
            {**settings(port, model, workers), **more},
        ) as process,
    ):
        usage.settle(process.pid)
        yield Server("service", port, process.pid)


@contextmanager
def doing_jobs(
    model: Path,
    workers: int,
    body: bytes,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """So many web processes and their job worker, which has done a job. Raises CannotStart."""
    job = b'{"model": "regno", "input": %s}' % body
    named = {"SCORING_MODEL": str(model), **more}
    with web(workers, lambda port: _does(port, job), named) as server:
        yield server


@contextmanager
def web(
    workers: int,
    ready: Callable[[int], bool],
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """So many web processes, once `ready` is true of their port. Raises CannotStart."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        named = {
            "SCORING_WEB_HOST": "127.0.0.1",
            "SCORING_WEB_PORT": str(port),
            "SCORING_WEB_WORKERS": str(workers),
            "SCORING_JOBS_DIR": f"{folder}/jobs",
            "SCORING_API_KEYS": f"{KEY_NAME}:{KEY}",
            "SCORING_METRICS_TOKEN": METRICS_TOKEN,
            **more,
        }
        log = Path(folder) / "log"
        with processes.running(_WEB, log, lambda: ready(port), named) as process:
            yield Server("web", port, process.pid)


@contextmanager
def over_amqp(
    broker: str, workers: int, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[None]:
    """So many workers that answer over AMQP. Raises CannotStart."""
    port = processes.free_port()
    named = {
        "SCORING_BROKER": broker,
        "SCORING_WORKERS": str(workers),
        "SCORING_WORKER_METRICS_BIND": f"127.0.0.1:{port}",
        "SCORING_METRICS_TOKEN": METRICS_TOKEN,
        **more,
    }
    with tempfile.TemporaryDirectory(prefix="amqp-") as folder:
        ready = lambda: processes.responds(f"http://127.0.0.1:{port}/readyz")  # noqa: E731
        with processes.running(_AMQP, Path(folder) / "log", ready, named):
            yield


def _does(port: int, job: bytes) -> bool:
    """Whether a job is done within the longest wait."""
    try:
        reply = client.post(port, job, KEY, "/jobs", {"Prefer": "wait=30"})
    except OSError:
        return False
    return reply.status == 200


def scores(port: int, body: bytes) -> bool:
    """Whether a target scores a body."""
    try:
        return client.post(port, body, KEY).status == 200
    except OSError:
        return False


def metrics(port: int) -> str:
    """The metrics page of a target."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310 - an address of our own
        text: str = reply.read().decode()
    return text
