"""How Locust is started, and the service before it if there is no address of one."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Final, NamedTuple

from loadgen.common import rows, service
from loadgen.common.options import MODEL, ROOT, positive
from loadgen.common.service import KEY, Server
from loadgen.load import settings

_LOCUSTFILE: Final = ROOT / "loadgen/locustfile.py"


class LoadTarget(NamedTuple):
    """What is loaded: its address and the key, and its processes if they are ours."""

    url: str
    key: str | None
    server: Server | None = None


def stop_when_told() -> None:
    """TERM, or a terminal that is closed, ends this process on the ordinary way out.

    That is by an exception, so that the service and Locust are stopped. `nohup` has its way.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def parser(program: str, words: str) -> Any:
    """The options that all programs of load have."""
    made = settings.parser(program, words)
    settings.add_files(made)
    made.add_argument(
        "--model", type=Path, default=MODEL, metavar="PATH",
        help="what the started service serves; the bundled model by default",
    )  # fmt: skip
    made.add_argument("--workers", type=positive, default=2, help="of the started service [2]")
    return made


@contextmanager
def started_service(
    arguments: argparse.Namespace, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[LoadTarget]:
    """The service on a port of its own, as the benchmark starts it. Raises CannotStart.

    `variables` are more of its settings.
    """
    (body,) = rows.singles(rows.read(arguments.rows)[:1])
    sys.stderr.write("Starting the service\n")
    with service.running(arguments.model.resolve(), arguments.workers, body, variables) as server:
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
    """Flags of a run without the page; Locust's own tables go to a file, not before ours."""
    return ("--headless", "--only-summary", "--json-file", str(out.resolve() / "locust"))


def environment(key: str | None) -> dict[str, str]:
    """This process's environment with the key: in a command line all could read it."""
    inherited = dict(os.environ)  # noqa: TID251 - handed on
    # An empty file's name: the key of a service that is started here is not the operator's.
    ours = {"LOADGEN_API_KEY": key, "LOADGEN_API_KEY_FILE": ""} if key else {}
    return {**inherited, **ours}
