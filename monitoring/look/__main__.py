"""`python -m monitoring.look`: see the dashboards as an operator sees them, without Grafana.

Starts the service with the bundled model, load of all kinds, and Prometheus with the rules; has
the model change, then the workers; then asks and draws every panel. All of it is on loopback, and
gone afterwards.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from tqdm import tqdm

from monitoring.look import dashboards, draw, scene, traffic
from monitoring.look.errors import CannotLook
from monitoring.look.prometheus import Span

# Points in the width of a panel.
_POINTS = 120
# It has a value when all others do: drift needs a thousand rows.
_LAST_RULE = "scoring:drift_psi_weighted:1h"
_TRIES = 20


def main() -> int:
    """Draw what the command line asks for; 2 when something is missing or fails."""
    signal.signal(signal.SIGTERM, _end)
    arguments = _parse()
    try:
        _look(arguments)
    except CannotLook as error:
        sys.stderr.write(f"Not drawn. {error}\n")
        return 2
    return 0


def _parse() -> argparse.Namespace:
    known = dashboards.names()
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.look",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/pictures"), help="folder [build/pictures]"
    )
    parser.add_argument("--seconds", type=int, default=120, help="of load [120]")
    parser.add_argument("--rate", type=float, default=120, help="requests a second [120]")
    parser.add_argument("dashboards", nargs="*", help=f"of {', '.join(known)} [all]")
    arguments = parser.parse_args()
    if unknown := set(arguments.dashboards) - set(known):
        parser.error(f"no such dashboard: {', '.join(sorted(unknown))}")
    arguments.dashboards = arguments.dashboards or known
    return arguments


def _look(arguments: argparse.Namespace) -> None:
    _say("Preparing Grafana's components (the first time about a minute)")
    draw.page(arguments.out)
    with TemporaryDirectory(prefix="look-") as folder, scene.playing(Path(folder)) as played:
        span = _play(played, arguments.seconds, arguments.rate)
        for name in arguments.dashboards:
            drawn = draw.dashboard(
                name, played.prometheus, span, scene.SCRAPE_SECONDS, arguments.out
            )
            shown = sum(map(bool, drawn.series.values()))
            _say(f"Drawn: {drawn.picture}, {shown} of {len(drawn.series)} panels have data")


def _play(played: scene.Scene, seconds: int, rate: float) -> Span:
    """Load for so long, with a swap at one third of it and a reload at two."""
    began = time.time()
    with traffic.flowing(played.port, rate) as seen:
        for second in tqdm(range(seconds), "Load", unit="s", disable=None):
            if second == seconds // 3:
                played.swap()
            if second == seconds * 2 // 3:
                played.reload()
            time.sleep(1)
    _say(f"Replies: {', '.join(f'{count} × {status}' for status, count in seen.most_common())}")
    return Span(began, _last_moment(played), max(scene.SCRAPE_SECONDS, seconds // _POINTS))


def _last_moment(played: scene.Scene) -> float:
    """One at which the last of the rules has a value, if one comes soon.

    On a busy machine a scrape may come too late, which leaves rules without one for a second.
    """
    for _ in range(_TRIES):
        moment = time.time()
        if played.prometheus.at(_LAST_RULE, moment)["result"]:
            return moment
        time.sleep(0.5)
    return time.time()


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _end(_signal: int, _frame: FrameType | None) -> None:
    # An exception, so that every program that was started is stopped.
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
