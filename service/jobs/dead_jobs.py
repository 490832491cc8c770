"""`python -m service.jobs dead`: what an operator does with jobs that were given up.

It works on the records, with the settings of web processes and workers. What the broker gave up is
among them as soon as a worker runs: it takes the dead letters. No record holds a plate.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import time
from typing import Final

import msgspec

from model.cli import Exit
from service.config.settings import Settings
from service.jobs.job import Job
from service.jobs.queues import QueueFull, QueueUnavailable
from service.jobs.records import RecordsUnavailable
from service.jobs.states import State
from service.jobs.stores import Stores, open_stores

EPILOG: Final = """\
exit status: 0 done, 66 no such dead job, 69 the records can't be reached.
"""
_PAGE: Final = 500
_TIMES: Final = ("created", "started", "finished", "expires", "due", "deadline")


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands; `action` of the options is then what was chosen."""
    commands = parser.add_subparsers(required=True, metavar="list|show|requeue|drop")
    of_list = commands.add_parser("list", help="a line for each, the newest first")
    of_list.set_defaults(action=_list)
    of_show = commands.add_parser("show", help="all that is known of one, as JSON")
    of_show.add_argument("id")
    of_show.set_defaults(action=_show)
    _add_for_several(commands.add_parser("requeue", help="have them tried again"), _requeue)
    _add_for_several(commands.add_parser("drop", help="remove them and their inputs"), _drop)


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Do what the options say. Raises Exit or SettingsError."""
    try:
        options.action(open_stores(settings), options)
    except RecordsUnavailable as error:
        raise Exit(os.EX_UNAVAILABLE, "the records of jobs can't be reached") from error


def _add_for_several(parser: argparse.ArgumentParser, act: Callable[[Stores, Job], str]) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="*", default=[])
    which.add_argument("--all", action="store_true", help="all dead jobs")

    def on_each(stores: Stores, options: argparse.Namespace) -> None:
        for job in list(_all(stores)) if options.all else [_one(stores, i) for i in options.id]:
            _write(act(stores, job))

    parser.set_defaults(action=on_each)


def _list(stores: Stores, _options: argparse.Namespace) -> None:
    for job in _all(stores):
        attempts = f"{job.attempts} of {job.max_attempts}"
        _write(
            f"{job.id}  {_iso(job.finished)}  {job.kind:<8}{job.model:<12}{job.owner:<16}"
            f"{attempts:<10}{job.error}"
        )


def _show(stores: Stores, options: argparse.Namespace) -> None:
    shown = msgspec.to_builtins(_one(stores, options.id))
    for name in _TIMES:
        shown[name] = _iso(shown[name]) if shown[name] else None
    _write(msgspec.json.format(msgspec.json.encode(shown)).decode())


def _requeue(stores: Stores, job: Job) -> str:
    requeued = stores.records.requeue(job.id, time())
    if requeued is None or requeued.state is not State.ACCEPTED:
        return f"{job.id}: is not dead any more"
    try:
        stores.queue.publish(requeued)
    except (QueueUnavailable, QueueFull):
        return f"{job.id}: accepted again, to be queued when the queue takes it"
    stores.records.queued(job.id, time())
    return f"{job.id}: queued again"


def _drop(stores: Stores, job: Job) -> str:
    if not stores.records.drop(job.id):
        return f"{job.id}: is not dead any more"
    stores.blobs.remove(job.id)
    return f"{job.id}: removed"


def _one(stores: Stores, job: str) -> Job:
    found = stores.records.get(job)
    if found is None or found.state is not State.DEAD:
        raise Exit(os.EX_NOINPUT, f"{job}: is not a dead job")
    return found


def _all(stores: Stores) -> Iterator[Job]:
    after = ""
    while page := stores.records.dead(after, _PAGE):
        yield from page
        after = page[-1].id


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
