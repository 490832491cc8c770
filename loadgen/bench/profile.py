"""`python -m loadgen.bench.profile`: the microseconds of one request by stage.

Starts the service, loads it, and reads its metrics before and after. Stages are wall time inside
the service; `wait` is the time until a batch begins and until its replies are sent. The rest of the
CPU time is not a stage's: event loop, sockets, HTTP, keys, admission, metrics and logs.
"""

import argparse
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from loadgen.bench import options, wrk
from loadgen.common import rows, service, usage
from loadgen.common.errors import CannotStart

_STAGE: Final = re.compile(r'^scoring_stage_seconds_total\{stage="(\w+)"\} (\S+)$', re.MULTILINE)
_ROWS: Final = re.compile(r"^scoring_batch_rows_sum (\S+)$", re.MULTILINE)
_BATCHES: Final = re.compile(r"^scoring_batch_rows_count (\S+)$", re.MULTILINE)


class Reading(NamedTuple):
    """Sums of the service since its start: seconds by stage, rows, calls of predict."""

    stages: dict[str, float]
    rows: float
    batches: float


def main() -> int:
    """Profile under the load that the command line describes."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.bench.profile", description=__doc__)
    parser.add_argument("--connections", type=int, default=64, help="kept alive [64]")
    parser.add_argument("--seconds", type=int, default=10, help="of load [10]")
    arguments, rest = parser.parse_known_args()
    chosen = options.parse(rest)
    try:
        sys.stdout.write(_profile(chosen, arguments.connections, arguments.seconds))
    except CannotStart as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    return 0


def _profile(chosen: options.Options, connections: int, seconds: int) -> str:
    wrk.require()
    bodies = rows.singles(rows.read(chosen.rows))
    with TemporaryDirectory() as folder:
        path = wrk.write_bodies(bodies, Path(folder) / "bodies")
        with service.running(chosen.model, chosen.workers, bodies[0], chosen.env) as server:
            wrk.run(server.port, path, connections, 2)
            before, cpu = _read(server.port), usage.cpu_total(server.pid)
            load = wrk.run(server.port, path, connections, seconds)
            after, cpu = _read(server.port), usage.cpu_total(server.pid) - cpu
    return _table(before, after, cpu, load)


def _read(port: int) -> Reading:
    text = service.metrics(port)
    return Reading(
        {stage: float(seconds) for stage, seconds in _STAGE.findall(text)},
        sum(map(float, _ROWS.findall(text))),
        sum(map(float, _BATCHES.findall(text))),
    )


def _table(before: Reading, after: Reading, cpu: float, load: wrk.Load) -> str:
    """Microseconds per row; the time of a batch's predict is shared among its rows."""
    scored = after.rows - before.rows
    batch = scored / max(after.batches - before.batches, 1)
    spent = {
        stage: (after.stages[stage] - before.stages[stage]) / scored * 1e6 for stage in after.stages
    }
    own = {**spent, "predict": spent["predict"] / batch}
    waited = own.pop("wait") + spent["predict"]
    rest = cpu / scored * 1e6 - sum(own.values())
    lines = [
        f"{load.requests / load.seconds:.0f} requests a second, p50 {load.p50_ms:.1f} ms",
        f"{batch:.1f} rows in a batch, {cpu / scored * 1e6:.0f} us of CPU a request",
        "",
        *(f"{stage:10} {seconds:8.1f} us" for stage, seconds in own.items()),
        f"{'rest':10} {rest:8.1f} us   (event loop, sockets, HTTP, keys, admission, metrics, logs)",
        f"{'waiting':10} {waited:8.1f} us   (wall time from features to reply, batch included)",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
