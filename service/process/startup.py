"""The master's checks and preparations before it listens, and the log line once it does."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gunicorn import systemd

from service.config import overrides
from service.config.settings import (
    Settings,
    SettingsError,
    export_for_libraries,
    load,
    refuse_start,
    renamed_variables,
    unknown_variables,
)
from service.http.api_keys import ApiKeys
from service.process import listening, ulimits
from service.process.listening import Taken
from service.rollout.rollout_state import rollout_state
from service.runtime import Runtime, run_folder, runtime, use
from service.telemetry.error_reports import reports
from service.telemetry.tracing import traces

if TYPE_CHECKING:
    from service.process.master import Master


class Kind(NamedTuple):
    """A kind of server, as far as its start differs from that of another.

    `fixed` is what no argument may change, by gunicorn's names; `without_effect` are arguments that
    do nothing there. `prefix` begins the fields of the settings that give its addresses.
    """

    fixed: Mapping[str, str]
    without_effect: tuple[str, ...] = overrides.WITHOUT_EFFECT
    prefix: str = ""


LOGGER: Final = "service.telemetry.logs.ServerLogger"
SCORING: Final = Kind(
    MappingProxyType(
        {"worker_class": "service.server.worker.ScoringWorker", "logger_class": LOGGER}
    )
)

log = logging.getLogger("scoring")


def create_runtime(read: Callable[[], Settings] = load) -> Runtime:
    """What the processes of this server share; ends the process, with the reason, if it can't run.

    `read` gives the settings of this kind of server. Also sets what libraries read from the
    environment when they are imported.
    """
    try:
        ulimits.check()
        use(read())
        shared = runtime()
        reports.preload(shared.settings)
        traces.preload(shared.settings)
    except SettingsError as error:
        refuse_start(error)
    # gunicorn installs its handlers a second later: until then, let TERM run what is at exit.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    rollout_state()  # before the first fork, so that all workers share it
    export_for_libraries(shared.run_folder.path)
    _hide_packages(shared.settings)
    return shared


def _hide_packages(settings: Settings) -> None:
    """Let what CatBoost imports go without packages that it would load only since they are there.

    pandas would load pyarrow: 37 MiB in each process, and a thread before the workers are forked.
    Readings are captured by pyarrow without pandas; the module that does so lifts this for itself.
    SciPy has NumPy load charset_normalizer, 2 MiB; `requests`, which sends traces, wants it.
    """
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    if not settings.otlp_endpoint:
        sys.modules["charset_normalizer"] = None  # type: ignore[assignment]


def prepare(server: "Master", shared: Runtime, kind: Kind = SCORING) -> None:
    """Check gunicorn's final configuration, and reserve what the workers will need.

    Ends the process, with a line on stderr that names the reason, if the server can't run.
    """
    settings = shared.settings
    for name in unknown_variables():
        log.warning("%s is not a setting: nothing reads it", name)
    for old, new in renamed_variables().items():
        log.warning("%s is now called %s: the next release reads the new name only", old, new)
    try:
        overrides.check(server.cfg, kind.fixed, kind.without_effect)
        if overridden := overrides.description(server.cfg):
            log.warning("%s", overridden)
        ApiKeys(settings).check_exposure(public(server.cfg.address, settings))
        _raise_file_limit(server)
        _reserve_metrics(server.cfg.workers, shared)
        _wait_for_addresses(server, settings, kind)
    except SettingsError as error:
        refuse_start(error)
    except Taken as error:
        refuse_start(error, os.EX_TEMPFAIL)


def public(addresses: list[Any], settings: Settings) -> list[Any]:
    """The addresses that require keys: all except that of the metrics. Raises SettingsError."""
    resolved = map(listening.resolved, addresses)
    return [address for address in resolved if address[:2] != settings.metrics_address]


def _raise_file_limit(server: "Master") -> None:
    limit = ulimits.raise_open_files()
    wanted = server.cfg.worker_connections
    allowed = ulimits.connections(limit, wanted)
    if allowed == wanted:
        return
    if not allowed:
        reason = f"{limit} open files are too few: a worker needs {ulimits.OWN_FILES} itself"
        raise SettingsError("ulimit -Hn", reason)
    server.cfg.set("worker_connections", allowed)
    log.warning(
        "The limit of %d open files allows %d connections in each worker, not %d",
        limit,
        allowed,
        wanted,
    )


def _reserve_metrics(workers: int, shared: Runtime) -> None:
    """Allocate the metrics files of two generations of workers, before anything fills the disk."""
    from service.telemetry.metrics import multiprocess  # noqa: PLC0415 - the environment must be set before

    try:
        multiprocess.allocate(2 * workers, shared.run_folder.path)
    except OSError as error:
        raise run_folder.no_room(workers) from error


def _wait_for_addresses(server: "Master", settings: Settings, kind: Kind) -> None:
    if systemd.listen_fds(unset_environment=False) or server.cfg.reuse_port:
        return  # the sockets exist, or the addresses are shared
    for endpoint in listening.endpoints(server.cfg.address, settings, kind.prefix):
        listening.wait_until_free(endpoint)


def log_start(server: "Master", served: str, key_names: list[str]) -> None:
    """Log what is served, where, by how many workers and for which keys, by their names."""
    where, keys = ", ".join(map(str, server.LISTENERS)), ", ".join(key_names)
    log.info("Serving %s at %s; workers: %d; keys: %s", served, where, server.num_workers, keys)
