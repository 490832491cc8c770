"""`python -m tests.screenshots`: draw the dashboards to PNG, without Grafana.

Starts the service with the bundled model, load of all kinds, and Prometheus with the rules; changes
the model, then the workers; then runs the queries and draws every panel. Every program listens on
127.0.0.1 and is stopped at the end.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from tqdm import tqdm

from loadgen.common.errors import CannotStart
from tests.screenshots import ScreenshotError, dashboards, draw, stack, traffic
from tests.screenshots.prometheus import Span

# Points in the width of a panel.
_POINTS = 120
# The last rule to get a value: drift needs a thousand rows.
_LAST_RULE = "scoring:drift_psi_weighted:1h"
_TRIES = 20


def main() -> int:
    """Draw the dashboards that the command line names; 2 if something is missing or fails."""
    signal.signal(signal.SIGTERM, _exit)
    arguments = _parse()
    try:
        _draw(arguments)
    except (CannotStart, ScreenshotError) as error:
        sys.stderr.write(f"Not drawn. {error}\n")
        return 2
    return 0


def _parse() -> argparse.Namespace:
    known = dashboards.names()
    parser = argparse.ArgumentParser(
        prog="python -m tests.screenshots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("build/screenshots"), help="folder [build/screenshots]")
    add("--seconds", type=int, default=120, help="of load [120]")
    add("--rate", type=float, default=120, help="requests a second [120]")
    add("dashboards", nargs="*", help=f"of {', '.join(known)} [all]")
    arguments = parser.parse_args()
    if unknown := set(arguments.dashboards) - set(known):
        parser.error(f"no such dashboard: {', '.join(sorted(unknown))}")
    arguments.dashboards = arguments.dashboards or known
    return arguments


def _draw(arguments: argparse.Namespace) -> None:
    _print("Preparing Grafana's components (the first time about a minute)")
    draw.page(arguments.out)
    with (
        TemporaryDirectory(prefix="screenshots-") as folder,
        stack.running_stack(Path(folder)) as running,
    ):
        span = _load(running, arguments.seconds, arguments.rate)
        for name in arguments.dashboards:
            drawn = draw.dashboard(
                name, running.prometheus, span, stack.SCRAPE_SECONDS, arguments.out
            )
            with_data = sum(map(bool, drawn.series.values()))
            _print(f"Drawn: {drawn.picture}, {with_data} of {len(drawn.series)} panels have data")


def _load(running: stack.Stack, seconds: int, rate: float) -> Span:
    """Load for so long, with a swap after one third of it and a reload after two."""
    began = time.time()
    with traffic.background_load(running.port, rate) as stream:
        for second in tqdm(range(seconds), "Load", unit="s", disable=None):
            if second == seconds // 3:
                running.swap()
            if second == seconds * 2 // 3:
                running.reload()
            time.sleep(1)
        replies = stream.stop().counts()
    _print(f"Replies: {', '.join(f'{count} × {end}' for end, count in sorted(replies.items()))}")
    return Span(began, _last_moment(running), max(stack.SCRAPE_SECONDS, seconds // _POINTS))


def _last_moment(running: stack.Stack) -> float:
    """A moment at which the last of the rules has a value, if one comes soon.

    A late scrape leaves rules without a value for a second.
    """
    for _ in range(_TRIES):
        moment = time.time()
        if running.prometheus.at(_LAST_RULE, moment)["result"]:
            return moment
        time.sleep(0.5)
    return time.time()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    # An exception, so that every started program is stopped.
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
