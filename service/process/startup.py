"""The master's checks and preparations before it listens, and the log line once it does."""

import logging
import os
from typing import Any, Final

from gunicorn import systemd

from service.config import overrides
from service.config.settings import (
    Settings,
    SettingsError,
    renamed_variables,
    stop,
    unknown_variables,
)
from service.http.api_keys import ApiKeys
from service.process import listening, open_files, run_folder
from service.process.listening import Taken

# What no argument may change, by gunicorn's names.
_FIXED: Final = ("worker_class", "logger_class")

log = logging.getLogger("scoring")


def prepare(server: Any, settings: Settings, configuration: dict[str, Any]) -> None:
    """Check gunicorn's final configuration, and reserve what the workers will need.

    `configuration` holds the variables of the configuration file. Ends the process, with a line
    on stderr that names the reason, when the server can't run.
    """
    for name in unknown_variables():
        log.warning("%s is not a setting: nothing reads it", name)
    for old, new in renamed_variables().items():
        log.warning("%s is now called %s: the next release reads the new name only", old, new)
    try:
        overrides.check(server.cfg, {name: configuration[name] for name in _FIXED})
        if overridden := overrides.description(server.cfg):
            log.warning("%s", overridden)
        ApiKeys(settings).judge(public(server.cfg.address, settings), strict=True)
        _raise_file_limit(server)
        _reserve_metrics(server.cfg.workers)
        _wait_for_addresses(server, settings)
    except SettingsError as error:
        stop(error)
    except Taken as error:
        stop(error, os.EX_TEMPFAIL)


def public(addresses: list[Any], settings: Settings) -> list[Any]:
    """The addresses that ask for keys: all but that of the metrics. Raises SettingsError."""
    resolved = map(listening.resolved, addresses)
    return [address for address in resolved if address[:2] != settings.metrics_address]


def _raise_file_limit(server: Any) -> None:
    limit = open_files.raise_limit()
    wanted = server.cfg.worker_connections
    allowed = open_files.connections(limit, wanted)
    if allowed == wanted:
        return
    if not allowed:
        reason = f"{limit} open files are too few: a worker needs {open_files.OTHERS} itself"
        raise SettingsError("ulimit -Hn", reason)
    server.cfg.set("worker_connections", allowed)
    log.warning(
        "The limit of %d open files allows %d connections in each worker, not %d",
        limit,
        allowed,
        wanted,
    )


def _reserve_metrics(workers: int) -> None:
    """Allocate the metrics files of two generations of workers, before anything fills the disk."""
    from service.telemetry.metrics import multiprocess  # noqa: PLC0415 - the environment must be set before

    try:
        multiprocess.allocate(2 * workers, run_folder.metrics_folder())
    except OSError as error:
        raise run_folder.no_room(workers) from error


def _wait_for_addresses(server: Any, settings: Settings) -> None:
    if systemd.listen_fds(unset_environment=False) or server.cfg.reuse_port:
        return  # the sockets exist, or the addresses are shared
    for endpoint in listening.endpoints(server.cfg.address, settings):
        listening.wait_until_free(endpoint)


def log_start(server: Any, model: str, key_names: list[str]) -> None:
    """Log what is served, where, by how many workers and for which keys, by their names."""
    where, keys = ", ".join(map(str, server.LISTENERS)), ", ".join(key_names)
    log.info("Serving %s at %s; workers: %d; keys: %s", model, where, server.num_workers, keys)
