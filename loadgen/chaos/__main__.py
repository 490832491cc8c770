"""`python -m loadgen.chaos`: hold a safe rate, disturb the service, count who notices.

The exit code is that of the load test: 0 if every stage kept what clients are promised. It is 1
as well if a disturbance did not come to its end, a worker without a successor for one.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from loadgen.chaos.faults import FAULTS, OTHER_VERSION
from loadgen.common import registry
from loadgen.common.errors import BadFile, CannotStart
from loadgen.common.options import ROOT
from loadgen.common.schedule import bounds
from loadgen.common.service import KEY_NAME, Server
from loadgen.load import command, shapes
from loadgen.load.command import LoadTarget
from loadgen.load.shapes import Shape

_SECOND: Final = re.compile(r"^ *(\d+) s  target")
_INTO_THE_STAGE: Final = 2
_STOP_SECONDS: Final = 20.0
_FAILED: Final = "FAILED"


def main(given: Sequence[str] | None = None) -> int:
    """Disturb the service as the shape says. Returns the exit status."""
    command.stop_when_told()
    arguments = _arguments(given)
    try:
        shape = shapes.named(arguments.shape, arguments.shapes)
        with _service(arguments) as aim:
            return _hold(arguments, shape, aim)
    except (CannotStart, BadFile) as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("python -m loadgen.chaos", __doc__ or "")
    # No variable: LOADGEN_SHAPE names what is loaded elsewhere, where nothing is disturbed.
    parser.add_argument("--shape", default="chaos", help="a shape of --shapes [chaos]")
    parsed: argparse.Namespace = parser.parse_args(given)
    return parsed


@contextmanager
def _service(arguments: argparse.Namespace) -> Iterator[LoadTarget]:
    """The service, with a registry that it follows and a key that may change the model."""
    with TemporaryDirectory(prefix="chaos-") as folder:
        models, model = Path(folder) / "models", arguments.model.resolve()
        live = registry.add(models, model)
        # The same model twice: the change of versions changes no score.
        registry.add(models, model, OTHER_VERSION)
        registry.promote(models, live)
        # SCORING_MODEL would be another model than the registry's.
        follows = {"MODEL": "", "MODELS": str(models), "ADMINS": KEY_NAME}
        named = {f"SCORING_{name}": value for name, value in follows.items()}
        with command.started_service(arguments, named) as aim:
            yield aim


def _hold(arguments: argparse.Namespace, shape: Shape, aim: LoadTarget) -> int:
    flags = ("--users", str(shape.connections), "--spawn-rate", str(shape.connections))
    line = command.locust(arguments, aim.url, *flags, *command.headless(arguments.out))
    with subprocess.Popen(
        line, env=command.environment(aim.key), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            told = _follow(process, shape, aim.server)
            code = process.wait(_STOP_SECONDS)
        finally:
            process.kill()
    if code in {0, 1, 4}:
        sys.stdout.write(_table(arguments.out / f"{shape.name}.json", told))
    return status(code, told)


def status(code: int, told: dict[str, str]) -> int:
    """The load test's own; held up well by a service that was not disturbed is no proof."""
    return code or int(any(words.startswith(_FAILED) for words in told.values()))


def _follow(
    process: "subprocess.Popen[str]", shape: Shape, server: Server | None
) -> dict[str, str]:
    """Pass on what is printed, and disturb when the seconds of a stage come by."""
    moments = {
        begin + _INTO_THE_STAGE: stage.name
        for stage, (begin, _) in zip(shape.stages, bounds(shape.stages), strict=True)
        if stage.name in FAULTS
    }
    under_way: dict[str, Future[str]] = {}
    with ThreadPoolExecutor() as pool:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            second = _SECOND.match(line)
            # The line of a second comes when it is over.
            name = moments.get(int(second[1]) + 1) if second else None
            if name and server:
                sys.stdout.write(f"       {name}\n")
                under_way[name] = pool.submit(FAULTS[name], server)
    return {name: _words(future) for name, future in under_way.items()}


def _words(future: "Future[str]") -> str:
    error = future.exception()
    return f"{_FAILED}: {error}" if error else future.result()


def _table(path: Path, told: dict[str, str]) -> str:
    """Failed requests and latency of each stage, beside what was done."""
    stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
    head = f"{'':22} {'requests':>9} {'failed':>7} {'p50, ms':>8} {'p99, ms':>8} {'max':>8}"
    return "\n".join(["", head, *(_row(stage, told) for stage in stages), ""])


def _row(stage: dict[str, Any], told: dict[str, str]) -> str:
    times = (stage["latency_ms"][name] for name in ("p50", "p99", "p100"))
    return (
        f"{stage['name']:22} {stage['sent']:9,} {sum(stage['failures'].values()):7,} "
        + " ".join(f"{'-' if value is None else format(value, '.1f'):>8}" for value in times)
        + f"  {told.get(stage['name'], '')}"
    )


if __name__ == "__main__":
    sys.exit(main())
