"""All checks, in the order of the report."""

import resource
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from model import catalog
from model.registry import Validated, ValidationProcess
from service.config.settings import Settings, other_variables, renamed_variables, unknown_variables
from service.doctor import edge, files, machine, model, network, registry
from service.doctor import settings as configuration
from service.doctor.finding import Finding, unknown
from service.doctor.machine import Machine
from service.runtime import run_folder

Check = partial[Iterator[Finding]]


def findings(settings: Settings, dotenv: Path = Path(".env")) -> list[Finding]:
    """The results of all checks of this machine and these settings."""
    # The validation takes longest, and runs in its own process meanwhile.
    path = Path(registry.live_file(settings) or catalog.entry(catalog.DEFAULT).bundled or "")
    validation = ValidationProcess(path, positive_class=settings.positive_class)
    here, workers = Machine(), machine.worker_count(settings)
    results = _run(
        *_of_settings(here, settings, dotenv),
        *_of_addresses(here, settings, dotenv),
        *_of_machine(here, workers),
    )
    return results + _run(*_of_model(here, workers, settings, path, validation.outcome()))


def run_check(check: Check) -> list[Finding]:
    """The findings of a check; if it raises, one finding that its result is unknown."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - the other checks go on, whatever the error is
        name = check.func.__name__.replace("_", " ")
        return [unknown(name, f"unknown on this machine ({type(error).__name__})")]


def _run(*checks: Check) -> list[Finding]:
    return [finding for check in checks for finding in run_check(check)]


def _of_settings(here: Machine, settings: Settings, dotenv: Path) -> tuple[Check, ...]:
    renamed, strange = renamed_variables(dotenv=dotenv), unknown_variables(dotenv=dotenv)
    return (
        partial(files.user),
        partial(files.dotenv_place, dotenv),
        partial(configuration.unknown_settings, strange, renamed),
        partial(configuration.foreign_settings, other_variables(*configuration.FOREIGN)),
        partial(configuration.quotes, settings),
        partial(configuration.keys, settings),
        partial(configuration.key_strength, settings),
        partial(configuration.key_names, settings),
        partial(files.rights, here, settings, dotenv),
        partial(configuration.metrics, settings),
        partial(files.token_agrees, settings),
        partial(configuration.arrays, settings),
        partial(configuration.log, settings, terminal=sys.stdout.isatty()),
        partial(configuration.stop_period, here, settings),
    )


def _of_addresses(here: Machine, settings: Settings, dotenv: Path) -> tuple[Check, ...]:
    return (
        partial(network.address, here, settings),
        partial(network.metrics_address, here, settings),
        partial(configuration.reach, here, settings),
        partial(edge.edge, here, settings, dotenv),
        partial(network.sentry, settings),
        partial(network.traces, settings),
    )


def _of_machine(here: Machine, workers: int) -> tuple[Check, ...]:
    return (
        partial(machine.packages),
        partial(machine.workers, here, workers),
        partial(machine.open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        partial(machine.processes, here, workers),
        partial(files.work_folder, here, workers, files.chosen(workers)),
    )


def _of_model(
    here: Machine, workers: int, settings: Settings, path: Path, validated: Validated
) -> tuple[Check, ...]:
    named = other_variables("TMPDIR", "TEMP", "TMP").values()
    is_bundled = not (settings.model or settings.registry)
    return (
        partial(machine.memory, here, workers, validated.resident),
        partial(files.temporary_folder, run_folder.temporary(), path, named),
        partial(files.model_file, path),
        partial(model.model, path, validated, bundled=is_bundled),
        partial(model.positive, validated),
        partial(model.explanations, validated),
        partial(model.drift_reference, validated),
        partial(registry.registry, settings),
        partial(registry.admins, settings),
    )
