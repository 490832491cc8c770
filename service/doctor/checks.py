"""All checks, in the order of the report."""

import resource
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from model import catalog
from model.registry import Validated, ValidationProcess
from service.config.settings import Settings, of_others, unknown_variables
from service.doctor import (
    clock,
    edge,
    files,
    folders,
    keys,
    limits,
    memory,
    model,
    ports,
    python,
    registry,
    remote,
    sense,
    workers,
)
from service.doctor.finding import Finding, unknown
from service.doctor.machine import Machine
from service.process import run_folder

Check = partial[Iterator[Finding]]


def findings(settings: Settings, dotenv: Path = Path(".env")) -> list[Finding]:
    """What all checks found, here and now."""
    # First: it takes longest, in its process.
    path = Path(registry.live_file(settings) or catalog.entry(catalog.DEFAULT).bundled or "")
    validation = ValidationProcess(path, positive_class=settings.positive_class)
    machine, wanted = Machine(), workers.count(settings)
    found = _all(
        *_of_installation(),
        *_of_settings(machine, settings, dotenv),
        *_of_addresses(machine, settings, dotenv),
        *_of_machine(machine, wanted),
    )
    return found + _all(*_of_model(machine, wanted, settings, path, validation.outcome()))


def told(check: Check) -> list[Finding]:
    """What a check found; that it could not, if it broke on the way."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
        name = check.func.__name__.replace("_", " ")
        return [unknown(name, f"it can't be told here ({type(error).__name__})")]


def _all(*checks: Check) -> list[Finding]:
    return [finding for check in checks for finding in told(check)]


def _of_installation() -> tuple[Check, ...]:
    return (
        partial(python.python),
        partial(python.packages),
        partial(clock.clock, Path(__file__)),
        partial(files.user),
    )


def _of_settings(machine: Machine, settings: Settings, dotenv: Path) -> tuple[Check, ...]:
    return (
        partial(files.dotenv_place, dotenv),
        partial(sense.unknown_settings, unknown_variables(dotenv=dotenv)),
        partial(sense.foreign_settings, of_others(*sense.FOREIGN)),
        partial(sense.quotes, settings),
        partial(keys.keys, settings),
        partial(keys.key_strength, settings),
        partial(keys.key_names, settings),
        partial(files.rights, machine, settings, dotenv),
        partial(keys.metrics, settings),
        partial(files.token_agrees, settings),
        partial(sense.arrays, settings),
        partial(sense.log, settings, terminal=sys.stdout.isatty()),
        partial(sense.stop_period, machine, settings),
    )


def _of_addresses(machine: Machine, settings: Settings, dotenv: Path) -> tuple[Check, ...]:
    return (
        partial(ports.address, machine, settings),
        partial(ports.metrics_address, machine, settings),
        partial(ports.borrowed_ports, machine, settings),
        partial(sense.reach, machine, settings),
        partial(edge.edge, machine, settings, dotenv),
        partial(remote.sentry, settings),
        partial(remote.traces, settings),
    )


def _of_machine(machine: Machine, wanted: int) -> tuple[Check, ...]:
    return (
        partial(workers.workers, machine, wanted),
        partial(limits.open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        partial(limits.backlog, machine),
        partial(limits.processes, machine, wanted),
        partial(limits.overcommit, machine, wanted),
        partial(folders.work_folder, machine, wanted, folders.chosen(wanted)),
        partial(folders.left_over_metrics, folders.chosen(wanted)),
        partial(memory.swap, machine),
    )


def _of_model(
    machine: Machine, wanted: int, settings: Settings, path: Path, validated: Validated
) -> tuple[Check, ...]:
    places = of_others("TMPDIR", "TEMP", "TMP")
    return (
        partial(memory.memory, machine, wanted, validated.resident),
        partial(folders.temporary_folder, run_folder.temporary(), path, places.values()),
        partial(files.model_file, path),
        partial(model.model, path, validated, bundled=not (settings.model or settings.registry)),
        partial(model.positive, validated),
        partial(model.explanations, validated),
        partial(registry.registry, settings),
        partial(registry.admins, settings),
    )
