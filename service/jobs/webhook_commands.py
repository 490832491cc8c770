"""`python -m service.jobs webhooks list | test | dead`: look after the endpoints of webhooks."""

import argparse
import os
import sys
from time import time
from typing import Final

from model.cli import Exit
from service.config.settings import Settings
from service.jobs.job import new_id
from service.jobs.records import Event, RecordsUnavailable
from service.jobs.stores import open_stores
from service.jobs.webhooks import Endpoint, Endpoints, deliver, endpoints_of
from service.outbound.addresses import NotAllowed
from service.outbound.request import Unreachable

EPILOG: Final = """\
exit status: 0 done, 1 the endpoint did not take the message, 66 no such endpoint, 69 the endpoint
or the records can't be reached, 78 a setting is wrong.
"""
_MOST_SHOWN: Final = 100


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands; `action` of the options is then what was chosen."""
    commands = parser.add_subparsers(required=True, metavar="list|test|dead")
    of_list = commands.add_parser("list", help="the registered endpoints, without their secrets")
    of_list.set_defaults(action=_list)
    of_test = commands.add_parser("test", help="send a message of the type webhook.test")
    of_test.add_argument("name", help="of the endpoint")
    of_test.add_argument("--key", default="", help="name of its key, if several keys have one")
    of_test.set_defaults(action=_test)
    of_dead = commands.add_parser("dead", help="messages that were given up, the newest first")
    of_dead.set_defaults(action=_dead)


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Do what the options say. Raises Exit or SettingsError."""
    try:
        options.action(settings, options)
    except RecordsUnavailable as error:
        raise Exit(os.EX_UNAVAILABLE, "the records of jobs can't be reached") from error


def _list(settings: Settings, _options: argparse.Namespace) -> None:
    for one in endpoints_of(settings).all():
        sys.stdout.write(f"{one.owner} {one.name} {one.url} secrets: {len(one.secrets)}\n")


def _test(settings: Settings, options: argparse.Namespace) -> None:
    endpoints = endpoints_of(settings)
    endpoint = _chosen(endpoints, options.name, options.key)
    now = time()
    event = Event(
        id=f"test-{new_id(now)}",
        job="test",
        owner=endpoint.owner,
        webhook=endpoint.name,
        model="test",
        type="webhook.test",
        created=now,
    )
    try:
        status = deliver(endpoint, event, now, endpoints.allowed)
    except (Unreachable, NotAllowed) as reason:
        raise Exit(os.EX_UNAVAILABLE, f"{endpoint.name} can't be reached: {reason}") from reason
    if not 200 <= status < 300:
        raise Exit(1, f"{endpoint.name} answered {status}")
    sys.stdout.write(f"{endpoint.name} answered {status}\n")


def _chosen(endpoints: Endpoints, name: str, owner: str) -> Endpoint:
    named = [one for one in endpoints.all() if one.name == name and owner in {"", one.owner}]
    if not named:
        raise Exit(os.EX_NOINPUT, f"{name}: no such endpoint")
    if len(named) > 1:
        owners = ", ".join(one.owner for one in named)
        raise Exit(os.EX_USAGE, f"{name}: choose one of these keys by --key: {owners}")
    return named[0]


def _dead(settings: Settings, _options: argparse.Namespace) -> None:
    for event in open_stores(settings).records.dead_events(_MOST_SHOWN):
        sys.stdout.write(
            f"{event.job} {event.type} to {event.webhook} of {event.owner}: {event.error}, "
            f"attempts: {event.attempts}\n"
        )
