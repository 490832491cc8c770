"""`python -m loadgen.load`: load a service by a shape and evaluate it.

Exit codes: 0 held, 1 broken, 2 something is missing, 3 nothing ran, 4 no verdict, since the
generator itself was too slow.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from loadgen.common.errors import BadFile, CannotStart
from loadgen.common.options import ROOT, positive
from loadgen.common.processes import free_port
from loadgen.load import command, settings, shapes
from loadgen.load.command import LoadTarget
from loadgen.load.shapes import Shape

_STOP_SECONDS = 20.0


def main(given: Sequence[str] | None = None) -> int:
    """Run the load test that the command line describes. Returns the exit status."""
    command.exit_on_signals()
    arguments = _arguments(given)
    try:
        shape = shapes.named(arguments.shape, arguments.shapes)
        with _target(arguments, shape) as target:
            return _run(arguments, shape, target)
    except (CannotStart, BadFile) as error:
        sys.stderr.write(f"Not started. {error}\n")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("python -m loadgen.load", __doc__ or "")
    settings.add(parser, "shape", "smoke", "a shape of --shapes [smoke]")
    settings.add(parser, "url", "", "a running service, of jobs and pictures web ones, with its "
        "key in LOADGEN_API_KEY or LOADGEN_API_KEY_FILE; without it one is started")  # fmt: skip
    settings.add_metrics_port(parser)
    add = parser.add_argument
    add("--processes", type=positive, default=1, metavar="N",
        help="generator processes on this machine [1]; several have a master")  # fmt: skip
    add("--ui", action="store_true", help="Locust's web page on 127.0.0.1:8089; no verdict on exit")
    parsed: argparse.Namespace = parser.parse_args(given)
    return parsed


@contextmanager
def _target(arguments: argparse.Namespace, shape: Shape) -> Iterator[LoadTarget]:
    if arguments.url:
        yield LoadTarget(arguments.url.rstrip("/"), None)
        return
    with _start(shape)(arguments) as target:
        yield target


def _start(shape: Shape) -> Callable[[argparse.Namespace], AbstractContextManager[LoadTarget]]:
    """What starts the processes that answer a shape's requests."""
    if shape.mix.has_pictures:
        return command.started_pictures
    return command.started_web if shape.mix.has_jobs else command.started_service


def _run(arguments: argparse.Namespace, shape: Shape, target: LoadTarget) -> int:
    users = max(shape.connections, arguments.processes)
    flags = ["--users", str(users), "--spawn-rate", str(min(100, users))]
    flags += ["--metrics-port", str(arguments.metrics_port)]
    if arguments.processes > 1:
        flags += _processes(arguments.processes)
    flags += ("--web-host", "127.0.0.1") if arguments.ui else command.headless(arguments.out)
    process = subprocess.Popen(
        command.locust(arguments, target.url, *flags),
        env=command.environment(target.key),
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        return process.wait()
    finally:
        _stop(process)


def _processes(count: int) -> list[str]:
    """Flags for a master and so many workers, on a free port of 127.0.0.1."""
    port = str(free_port())
    return [
        *("--processes", str(count), "--master-bind-host", "127.0.0.1"),
        *("--master-bind-port", port, "--master-port", port),
    ]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
