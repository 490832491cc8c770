"""The command line of Locust, and the service that is started when no address is given."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Final, NamedTuple

from loadgen.common import pictures, rows, service
from loadgen.common.options import MODEL, ROOT, positive
from loadgen.common.service import KEY, Server
from loadgen.load import settings

_LOCUSTFILE: Final = ROOT / "loadgen/locustfile.py"


class LoadTarget(NamedTuple):
    """The loaded service: address, key, and its process if it was started here."""

    url: str
    key: str | None
    server: Server | None = None


def exit_on_signals() -> None:
    """Exit on TERM and HUP by an exception, so that the service and Locust are stopped.

    A signal that is ignored, as under `nohup`, stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def parser(program: str, description: str) -> Any:
    """A parser with the options that load tests and chaos share."""
    shared = settings.parser(program, description)
    settings.add_files(shared)
    shared.add_argument(
        "--model", type=Path, default=MODEL, metavar="PATH",
        help="model file of the started service; the bundled model by default",
    )  # fmt: skip
    shared.add_argument(
        "--workers", type=positive, default=2, help="workers of the started service [2]"
    )
    return shared


@contextmanager
def started_service(
    arguments: argparse.Namespace, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[LoadTarget]:
    """A service on a free port; `variables` are further settings. Raises CannotStart."""
    (body,) = rows.singles(rows.read(arguments.rows)[:1])
    sys.stderr.write("Starting the service\n")
    with service.running(arguments.model.resolve(), arguments.workers, body, variables) as server:
        yield LoadTarget(f"http://127.0.0.1:{server.port}", KEY, server)


@contextmanager
def started_web(arguments: argparse.Namespace) -> Iterator[LoadTarget]:
    """Web processes on a free port, with the job worker of the embedded form.

    Raises CannotStart.
    """
    (body,) = rows.singles(rows.read(arguments.rows)[:1])
    sys.stderr.write("Starting the web processes and a job worker\n")
    with service.doing_jobs(arguments.model.resolve(), arguments.workers, body) as server:
        yield LoadTarget(f"http://127.0.0.1:{server.port}", KEY, server)


@contextmanager
def started_pictures(arguments: argparse.Namespace) -> Iterator[LoadTarget]:
    """Web processes on a free port, with their picture process. Raises BadFile or CannotStart."""
    sys.stderr.write("Starting the web processes and a picture process\n")
    ready = lambda port: pictures.are_answered(port, KEY)  # noqa: E731
    with service.web(arguments.workers, ready) as server:
        yield LoadTarget(f"http://127.0.0.1:{server.port}", KEY, server)


def locust(arguments: argparse.Namespace, url: str, *more: str) -> list[str]:
    """The command line of Locust for these options."""
    return [
        *(sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--host", url),
        *("--shape", arguments.shape, "--shapes", str(arguments.shapes.resolve())),
        *("--rows", str(arguments.rows.resolve()), "--out", str(arguments.out.resolve())),
        *("--loglevel", "WARNING", *more),
    ]


def headless(out: Path) -> Sequence[str]:
    """Flags of a run without the web page; Locust writes its own tables to a file."""
    return ("--headless", "--only-summary", "--json-file", str(out.resolve() / "locust"))


def environment(key: str | None) -> dict[str, str]:
    """This process's environment with the key, which a command line would expose."""
    inherited = dict(os.environ)  # noqa: TID251 - handed on
    # The operator's key file does not belong to a service that is started here.
    ours = {"LOADGEN_API_KEY": key, "LOADGEN_API_KEY_FILE": ""} if key else {}
    return {**inherited, **ours}
