"""The command line of the benchmark."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadgen.bench.targets import TARGETS
from loadgen.common.options import MODEL, ROOT, ROWS, positive

_FULL: Final[dict[str, Any]] = {
    "rounds": 5,
    "seconds": 3,
    "connections": (1, 16, 64, 256),
    "bulk": (10, 100, 1000, 10_000),
}
_QUICK: Final[dict[str, Any]] = {
    "rounds": 1,
    "seconds": 1,
    "connections": (1, 16),
    "bulk": (10, 100),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Targets, loads and durations. Paths are absolute, durations in whole seconds."""

    targets: tuple[str, ...]
    model: Path
    rows: Path
    worker_counts: tuple[int, ...]
    connections: tuple[int, ...]
    bulk: tuple[int, ...]
    bulk_connections: int
    rounds: int
    seconds: int
    sample: int
    env: dict[str, str]
    out: Path

    @property
    def workers(self) -> int:
        """Worker processes of each target; the greatest count if there are several."""
        return max(self.worker_counts)


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line, by default this process's. Exits if one is invalid."""
    given = vars(_parser().parse_args(arguments))
    preset = _QUICK if given.pop("quick") else _FULL
    for name, value in preset.items():
        given[name] = value if given[name] is None else given[name]
    given["env"] = dict(given["env"])
    for name in ("connections", "worker_counts"):
        if not given[name]:
            _parser().error(f"--{name.removesuffix('_counts')}: name at least one number")
    for name in ("model", "rows", "out"):
        given[name] = given[name].resolve()
    return Options(**given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.bench",
        description="Measure the service and its baselines: same rows, same model, same machine.",
    )
    _add_what(parser)
    _add_how_long(parser)
    return parser


def _add_what(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--targets", type=_names, default=tuple(TARGETS), metavar="NAME,NAME",
        help=f"which of {', '.join(TARGETS)}; all by default")  # fmt: skip
    add("--model", type=Path, default=MODEL, metavar="PATH",
        help="the .cbm file that all targets serve; the bundled one by default")  # fmt: skip
    add("--rows", type=Path, default=ROWS, metavar="PATH",
        help="CSV of requests: its columns are the ten fields")  # fmt: skip
    add("--workers", type=_numbers, default=(1, 2), metavar="N,N", dest="worker_counts",
        help="worker processes of each target; each count is measured [1,2]")  # fmt: skip
    add("--env", type=_assignment, action="append", default=[], metavar="NAME=VALUE",
        help="set this in the service's environment; may be repeated")  # fmt: skip
    add("--out", type=Path, default=ROOT / "build", metavar="DIR",
        help="where bench.json and bench.png go [build]")  # fmt: skip


def _add_how_long(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--quick", action="store_true",
        help="small: 1 round, 1 s, 1 and 16 connections, arrays of 10 and 100")  # fmt: skip
    add("--rounds", type=positive, help="times that each target is measured [5]")
    add("--seconds", type=positive, help="length of each measurement [3]")
    add("--connections", type=_numbers, metavar="N,N",
        help="open keep-alive connections [1,16,64,256]")  # fmt: skip
    add("--bulk", type=_numbers, metavar="N,N",
        help="rows of the arrays that the service is sent [10,100,1000,10000]; "
        "'' measures none")  # fmt: skip
    add("--bulk-connections", type=positive, default=4,
        help="connections that send arrays [4]: twice the usual workers, since fewer might "
        "all end up at one worker")  # fmt: skip
    add("--sample", type=positive, default=100,
        help="rows on which the scores of all targets are compared first [100]")  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    unknown = [name for name in names if name not in TARGETS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"choose from {', '.join(TARGETS)}")
    return tuple(dict.fromkeys(names))


def _numbers(text: str) -> tuple[int, ...]:
    # Ascending: the next measurement waits until the target is idle, and the greatest load leaves
    # the most work behind.
    return tuple(sorted({positive(part) for part in filter(None, text.split(","))}))


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value
