"""`python -m loadgen.chaos`: hold a safe rate, inject faults, count failed requests.

The exit code is the load test's: 0 if every stage met the objectives. It is also 1 if a fault was
not completed, for example if a killed worker got no successor.
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
    """Inject the faults of the shape. Returns the exit code."""
    command.exit_on_signals()
    arguments = _arguments(given)
    try:
        shape = shapes.named(arguments.shape, arguments.shapes)
        with _service(arguments) as target:
            return _hold(arguments, shape, target)
    except (CannotStart, BadFile) as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("python -m loadgen.chaos", __doc__ or "")
    # Without a variable: LOADGEN_SHAPE is the shape of load tests without faults.
    parser.add_argument("--shape", default="chaos", help="a shape of --shapes [chaos]")
    parsed: argparse.Namespace = parser.parse_args(given)
    return parsed


@contextmanager
def _service(arguments: argparse.Namespace) -> Iterator[LoadTarget]:
    """The service, with a registry that it follows and an admin's key."""
    with TemporaryDirectory(prefix="chaos-") as folder:
        models, model = Path(folder) / "models", arguments.model.resolve()
        live = registry.add(models, model)
        # The same model twice: the change of versions changes no score.
        registry.add(models, model, OTHER_VERSION)
        registry.promote(models, live)
        # SCORING_MODEL would be another model than the registry's.
        follows = {"MODEL": "", "REGISTRY": str(models), "ADMINS": KEY_NAME}
        named = {f"SCORING_{name}": value for name, value in follows.items()}
        with command.started_service(arguments, named) as target:
            yield target


def _hold(arguments: argparse.Namespace, shape: Shape, target: LoadTarget) -> int:
    flags = ("--users", str(shape.connections), "--spawn-rate", str(shape.connections))
    line = command.locust(arguments, target.url, *flags, *command.headless(arguments.out))
    with subprocess.Popen(
        line, env=command.environment(target.key), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            outcomes = _follow(process, shape, target.server)
            code = process.wait(_STOP_SECONDS)
        finally:
            process.kill()
    if code in {0, 1, 4}:
        sys.stdout.write(_table(arguments.out / f"{shape.name}.json", outcomes))
    return status(code, outcomes)


def status(code: int, outcomes: dict[str, str]) -> int:
    """The exit code: the load test's, or 1 if a fault was not injected and so nothing is proved."""
    return code or int(any(outcome.startswith(_FAILED) for outcome in outcomes.values()))


def _follow(
    process: "subprocess.Popen[str]", shape: Shape, server: Server | None
) -> dict[str, str]:
    """Copy the output, inject each fault in its stage; the outcomes by name."""
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
            # The line of a second is printed after its end.
            name = moments.get(int(second[1]) + 1) if second else None
            if name and server:
                sys.stdout.write(f"       {name}\n")
                under_way[name] = pool.submit(FAULTS[name], server)
    return {name: _outcome(future) for name, future in under_way.items()}


def _outcome(future: "Future[str]") -> str:
    error = future.exception()
    return f"{_FAILED}: {error}" if error else future.result()


def _table(path: Path, outcomes: dict[str, str]) -> str:
    """Failed requests and latency of each stage, with the outcome of its fault."""
    stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
    head = f"{'':22} {'requests':>9} {'failed':>7} {'p50, ms':>8} {'p99, ms':>8} {'max':>8}"
    return "\n".join(["", head, *(_row(stage, outcomes) for stage in stages), ""])


def _row(stage: dict[str, Any], outcomes: dict[str, str]) -> str:
    times = (stage["latency_ms"][name] for name in ("p50", "p99", "p100"))
    return (
        f"{stage['name']:22} {stage['sent']:9,} {sum(stage['failures'].values()):7,} "
        + " ".join(f"{'-' if value is None else format(value, '.1f'):>8}" for value in times)
        + f"  {outcomes.get(stage['name'], '')}"
    )


if __name__ == "__main__":
    sys.exit(main())
