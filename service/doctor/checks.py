"""All checks, in the order of the report."""

import resource
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from model import catalog
from model.registry import ValidationProcess
from service.config.models import served
from service.config.settings import Settings, other_variables, renamed_variables, unknown_variables
from service.doctor import (
    cache,
    edge,
    files,
    jobs,
    machine,
    model,
    network,
    registry,
    stores,
    webhooks,
)
from service.doctor import settings as configuration
from service.doctor.finding import Finding, titled, unknown
from service.doctor.machine import Machine
from service.runtime import run_folder

Check = partial[Iterator[Finding]]


def findings(settings: Settings, dotenv: Path = Path(".env")) -> list[Finding]:
    """The results of all checks of this machine and these settings."""
    # The validations take longest, and run in processes of their own meanwhile.
    validations = dict(_validations(settings))
    here, workers = Machine(), machine.worker_count(settings)
    results = _run(
        *_of_settings(here, settings, dotenv),
        *_of_addresses(here, settings, dotenv),
        *_of_machine(here, workers),
    )
    for name in served(settings):
        results += _run(*_of_model(name, here, workers, settings, validations.get(name)))
    return results + _run(
        partial(registry.admins, settings),
        partial(jobs.jobs, here, settings),
        partial(cache.cache, settings),
        partial(webhooks.webhooks, settings),
        partial(stores.stores, settings),
    )


def _validations(settings: Settings) -> Iterator[tuple[str, tuple[Path, ValidationProcess]]]:
    """The file of each model that is served, and its validation that runs."""
    for name, entry in served(settings).items():
        is_default = name == catalog.DEFAULT
        # In a registry, a model other than the default one needs a live version.
        bundled = entry.bundled if is_default or not settings.registry else None
        path = registry.live_file(settings, name) or bundled
        if path:
            positive_class = settings.positive_class if is_default else ""
            process = ValidationProcess(Path(path), positive_class=positive_class, name=name)
            yield name, (Path(path), process)


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
        partial(files.capture, settings),
        partial(files.decisions, settings),
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
    name: str,
    here: Machine,
    workers: int,
    settings: Settings,
    validation: tuple[Path, ValidationProcess] | None,
) -> tuple[Check, ...]:
    """The checks of a model; machine and temporary folder are checked by the default one alone."""
    if validation is None:
        return (partial(model.not_served, name), partial(registry.registry, settings, name))
    path, validated = validation[0], validation[1].outcome()
    is_bundled = not (settings.model or settings.registry)
    checks = (
        partial(files.model_file, path, titled("model file", name)),
        partial(model.model, path, validated, bundled=is_bundled, name=name),
        partial(model.positive, validated, name),
        partial(model.explanations, validated, name),
        partial(model.drift_reference, validated, name),
        partial(registry.registry, settings, name),
    )
    if name != catalog.DEFAULT:
        return checks
    named = other_variables("TMPDIR", "TEMP", "TMP").values()
    return (
        partial(machine.memory, here, workers, validated.resident),
        partial(files.temporary_folder, run_folder.temporary(), path, named),
        *checks,
        partial(model.thresholds, validated, settings.thresholds),
    )
