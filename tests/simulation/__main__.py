"""Play one schedule and show it, or many until one breaks a rule."""

import argparse
import os
import sys

from tests.simulation import schedule, server
from tests.simulation.many import play_on, replay_command


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _show(token: str, seed: int) -> int:
    """Show a schedule, in its simplest form if it breaks a rule."""
    with server.simulated():
        broken, audit = schedule.replay(token) if token else schedule.run(seed)
        if broken and not token:
            _say(f"{broken}\nLooking for a simpler schedule that breaks this rule ...")
            token = schedule.shrunk(seed, broken)
            broken, audit = schedule.replay(token)
    for event in audit.events:
        _say(event)
    if broken:
        _say(f"{broken}\n{replay_command(f'--token {token}')}")
    return int(bool(broken))


def _show_many(processes: int, first: int, size: int) -> int:
    broken = play_on(processes, first, size, _say)
    if broken is not None:
        _say(str(broken))
    return int(broken is not None)


def main() -> int:
    """The exit code: 1 if a rule is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="show the schedule of this seed")
    what.add_argument("--token", default="", help="show the schedule of this token")
    what.add_argument("--schedules", type=int, help="play so many")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first of many")
    processes = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--processes", type=int, default=processes, help="that play many; one for each processor"
    )
    options = parser.parse_args()
    if options.schedules:
        return _show_many(options.processes, options.first, options.schedules)
    return _show(options.token, options.seed or 0)


if __name__ == "__main__":
    sys.exit(main())
