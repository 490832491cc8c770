"""Reads the settings of `service.config.options` from the environment and `.env`.

Each setting is the environment variable `SCORING_` plus the field's name in capitals. A
`.env` file in the working directory fills in what the environment does not set. An empty
value counts as not set. A bad value stops the start and names the variable.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from model.utf8 import file_text
from service.config import addresses
from service.config import guard_policies as policies
from service.config.options import (
    EXAMPLE_KEY,
    FIELDS,
    PREFIX,
    PRINTABLE,
    VARIABLES,
    Settings,
    variable,
)
from service.config.variables import SettingsError

__all__ = [
    "EXAMPLE_KEY",
    "FIELDS",
    "PREFIX",
    "Settings",
    "SettingsError",
    "export_for_libraries",
    "load",
    "other_variables",
    "refuse_start",
    "renamed_variables",
    "unknown_variables",
    "variable",
    "with_broker_and_records_both",
]


# The settings that a file may hold, and what they are.
_IN_FILES: Final = {
    "metrics_token": "token",
    "broker": "URL",
    "records": "URL",
    "cache": "URL",
    "cache_secret": "secret",
    "clickhouse": "URL",
    "mongodb": "URL",
}
# As long as the hash that it is used with.
_SECRET_CHARACTERS: Final = 32
_SERVICE_LINK: Final = (
    "Kubernetes sets it to an address for a Service named scoring: set enableServiceLinks: false "
    "in the pod's spec, or give the Service another name"
)


def load(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings from an environment (this process's own by default) over a `.env` file.

    Raises SettingsError.
    """
    given = os.environ if environ is None else environ
    if given.get(variable("port"), "").startswith("tcp://"):
        raise SettingsError(variable("port"), _SERVICE_LINK)
    settings = VARIABLES.read(given, dotenv)
    settings = _with_secrets_of_files(settings)
    _check_texts(settings)
    _check_cache(settings)
    if settings.model and settings.registry:
        raise SettingsError(variable("registry"), f"{variable('model')} is set too")
    if settings.positive_class and settings.registry:
        reason = "it is for SCORING_MODEL; the manifest of each version in a registry says its own"
        raise SettingsError(variable("positive_class"), reason)
    if not settings.api_keys and not settings.api_keys_file:
        settings = msgspec.structs.replace(settings, api_keys=f"example:{EXAMPLE_KEY}")
    return settings


def unknown_variables(
    environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")
) -> list[str]:
    """Variables that carry the prefix and set nothing: misspelt, or of another version."""
    return VARIABLES.unknown(os.environ if environ is None else environ, dotenv)


def renamed_variables(
    environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")
) -> dict[str, str]:
    """The former names of settings that are set, each with the name that replaces it."""
    return VARIABLES.renamed(os.environ if environ is None else environ, dotenv)


def other_variables(*names: str) -> dict[str, str]:
    """The values of other programs' variables, of those that are set."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def with_broker_and_records_both(settings: Settings) -> Settings:
    """The settings, for what does jobs: a queue and records are elsewhere both, or neither is.

    Raises SettingsError, which names the setting that is missing.
    """
    for field, other in (("broker", "records"), ("records", "broker")):
        if getattr(settings, other) and not getattr(settings, field):
            reason = f"is missing, though {variable(other)} is set: set both, or neither"
            raise SettingsError(variable(field), reason)
    return settings


def _with_secrets_of_files(settings: Settings) -> Settings:
    """With the secrets that are in files, of those that are named."""
    named = [field for field in _IN_FILES if getattr(settings, f"{field}_file")]
    return msgspec.structs.replace(
        settings, **{field: _secret_of_file(settings, field) for field in named}
    )


def _secret_of_file(settings: Settings, field: str) -> str:
    path, name = getattr(settings, f"{field}_file"), variable(f"{field}_file")
    if getattr(settings, field):
        raise SettingsError(name, f"{variable(field)} is set too")
    try:
        secret = file_text(Path(path).read_bytes()).strip()
    except UnicodeError as error:
        raise SettingsError(name, f"{path} can't be read as text: {error}") from error
    except OSError as error:
        raise SettingsError(name, f"{path} can't be read: {error.strerror}") from error
    if not re.fullmatch(PRINTABLE, secret) or not secret:
        raise SettingsError(name, f"{path} must hold one {_IN_FILES[field]} of printable ASCII")
    return secret


def _check_texts(settings: Settings) -> None:
    checks: dict[str, Callable[[str], object]] = {
        "guards": policies.parse,
        "host": addresses.check_host,
        "metrics_bind": lambda text: text and addresses.ip_and_port(text),
        "sentry_dsn": addresses.check_sentry_dsn,
        "otlp_endpoint": addresses.check_otlp_endpoint,
        "web_host": addresses.check_host,
        "web_metrics_bind": lambda text: text and addresses.ip_and_port(text),
        "worker_metrics_bind": lambda text: text and addresses.ip_and_port(text),
        "broker": addresses.check_broker,
        "records": addresses.check_redis,
        "cache": addresses.check_redis,
        "clickhouse": addresses.check_clickhouse,
        "mongodb": addresses.check_mongodb,
        "sink_metrics_bind": lambda text: text and addresses.ip_and_port(text),
    }
    for field, check in checks.items():
        try:
            check(getattr(settings, field))
        except ValueError as reason:
            raise SettingsError(variable(field), str(reason)) from None
    for prefix in ("", "web_"):
        host, port, metrics = (
            getattr(settings, f"{prefix}{name}") for name in ("host", "port", "metrics_bind")
        )
        is_same = metrics and addresses.ip_and_port(metrics)[1] == port
        if is_same and not host.startswith("unix:"):
            taken = f"it needs a port other than {variable(f'{prefix}port')}"
            raise SettingsError(variable(f"{prefix}metrics_bind"), taken)


def _check_cache(settings: Settings) -> None:
    if not settings.cache:
        return
    if settings.cache == settings.records:
        reason = f"it is {variable('records')}: a cache needs a database of its own"
        raise SettingsError(variable("cache"), reason)
    if len(settings.cache_secret) < _SECRET_CHARACTERS:
        reason = f"it needs {_SECRET_CHARACTERS} characters or more, as {variable('cache')} is set"
        raise SettingsError(variable("cache_secret"), reason)
    if not find_spec("redis"):
        reason = "this needs redis, which is not installed: install the extra `queue`"
        raise SettingsError(variable("cache"), reason)


def export_for_libraries(metrics_dir: Path) -> None:
    """Set what libraries read from the environment themselves, before they are imported.

    prometheus_client chooses its multi-process storage at import. The numeric libraries
    start a thread for each core at import: threads that a fork would cut off, and that
    a worker which scores on one core has no use for.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_dir)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def refuse_start(error: Exception, code: int = os.EX_CONFIG) -> NoReturn:
    """End the process before it serves, with the reason on stderr."""
    with suppress(OSError):  # stderr is closed
        sys.stderr.write(f"Not started. {error}\n")
    sys.exit(code)
