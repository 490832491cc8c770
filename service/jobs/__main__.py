"""`python -m service.jobs worker | alive | dead | webhooks`: do jobs, look after them."""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Final

from msgspec import structs

from model.cli import exit_status, program
from service.config.options import VARIABLES, variable
from service.config.settings import (
    Settings,
    SettingsError,
    export_for_libraries,
    load,
    refuse_start,
    with_broker_and_records_both,
)
from service.jobs import dead_jobs, webhook_commands
from service.jobs.job import KINDS, TRAIN, usual_kinds
from service.jobs.liveness import is_alive
from service.jobs.records import RecordsUnavailable
from service.jobs.stores import is_embedded, open_stores
from service.runtime import runtime, use
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained
from service.telemetry.log_lines import log_to_stdout

log = logging.getLogger("scoring")

_PROGRAM: Final = program("python -m service.jobs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Do jobs. Settings are environment variables or lines of .env:",
        epilog=VARIABLES.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker", help="do jobs until TERM")
    worker.add_argument(
        "--kinds",
        type=_kinds,
        metavar="KIND,…",
        help=f"work on these kinds of jobs only, of {', '.join(KINDS)} (with a broker; default: "
        f"all, {TRAIN} only if {variable('trainers')} is set)",
    )
    worker.set_defaults(run=_work)
    alive = commands.add_parser("alive", help="status 0 if this machine's worker is alive, else 1")
    alive.set_defaults(run=_tell_alive)
    dead = commands.add_parser(
        "dead", help="jobs that were given up: list, show, requeue, drop", epilog=dead_jobs.EPILOG
    )
    dead_jobs.add_commands(dead)
    dead.set_defaults(run=_look_after_dead)
    webhooks = commands.add_parser(
        "webhooks",
        help="endpoints of webhooks: list, test, dead",
        epilog=webhook_commands.EPILOG,
    )
    webhook_commands.add_commands(webhooks)
    webhooks.set_defaults(run=_look_after_webhooks)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(with_broker_and_records_both(load()), options))
    except SettingsError as error:
        refuse_start(error)


def _tell_alive(settings: Settings, _options: argparse.Namespace) -> int:
    """Return 0 if the worker of this machine is alive. Raises SettingsError."""
    return 0 if is_alive(settings, lambda: open_stores(settings).queue) else 1


def _look_after_dead(settings: Settings, options: argparse.Namespace) -> int:
    """Do what was asked with dead jobs, and return the exit status. Raises SettingsError."""
    return exit_status(
        program("python -m service.jobs") + " dead", lambda: dead_jobs.run(settings, options)
    )


def _look_after_webhooks(settings: Settings, options: argparse.Namespace) -> int:
    """Do what was asked with webhooks, and return the exit status. Raises SettingsError."""
    command = f"{_PROGRAM} webhooks"
    return exit_status(command, lambda: webhook_commands.run(settings, options))


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := sorted({*names} - {*KINDS}):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(KINDS)}")
    return names


def _work(settings: Settings, options: argparse.Namespace) -> int:
    """Work until the end, and return the exit status. Raises SettingsError."""
    embedded = is_embedded(settings)
    chosen = usual_kinds(settings) if embedded else options.kinds or usual_kinds(settings)
    processes = settings.job_workers * (1 if embedded else len(chosen))
    use(structs.replace(settings, workers=processes))
    export_for_libraries(runtime().run_folder.path)
    log_to_stdout(settings)
    reports.preload(settings)
    # Only now: the environment is set that these libraries read when they are imported.
    from service.jobs.kinds import kinds  # noqa: PLC0415
    from service.jobs.metrics_page import MetricsPage  # noqa: PLC0415
    from service.jobs.models import load_job_models  # noqa: PLC0415
    from service.jobs.train_kind import check_packages  # noqa: PLC0415
    from service.telemetry.metrics import multiprocess  # noqa: PLC0415

    check_packages(chosen)
    multiprocess.install()
    stores, models = open_stores(settings), load_job_models(settings)
    try:
        log.info("Records of jobs are in %s", stores.records.durability())
    except RecordsUnavailable:  # they may be back in time
        log.warning("The records of jobs can't be reached now")
    page = MetricsPage(settings, models.registry)
    contained.start(models.background.failure)
    if embedded:
        from service.jobs.local_worker import LocalWorker  # noqa: PLC0415

        return LocalWorker(settings, stores, models, page).run()
    from service.jobs.celery_worker import work  # noqa: PLC0415
    from service.jobs.distributed_worker import DistributedWorker  # noqa: PLC0415

    worker = DistributedWorker(settings, stores, models, kinds(models, settings), page)
    return work(settings.broker, chosen, settings.job_workers, worker)


if __name__ == "__main__":
    sys.exit(main())
