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
]


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
    settings = _with_metrics_token(settings)
    _check_texts(settings)
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


def _with_metrics_token(settings: Settings) -> Settings:
    """With the token of the file, if one is named."""
    path, name = settings.metrics_token_file, variable("metrics_token_file")
    if not path:
        return settings
    if settings.metrics_token:
        raise SettingsError(name, f"{variable('metrics_token')} is set too")
    try:
        token = file_text(Path(path).read_bytes()).strip()
    except UnicodeError as error:
        raise SettingsError(name, f"{path} can't be read as text: {error}") from error
    except OSError as error:
        raise SettingsError(name, f"{path} can't be read: {error.strerror}") from error
    if not re.fullmatch(PRINTABLE, token) or not token:
        raise SettingsError(name, f"{path} must hold one token of printable ASCII")
    return msgspec.structs.replace(settings, metrics_token=token)


def _check_texts(settings: Settings) -> None:
    checks: dict[str, Callable[[str], object]] = {
        "guards": policies.parse,
        "host": addresses.check_host,
        "metrics_bind": lambda text: text and addresses.ip_and_port(text),
        "sentry_dsn": addresses.check_sentry_dsn,
        "otlp_endpoint": addresses.check_otlp_endpoint,
    }
    for field, check in checks.items():
        try:
            check(getattr(settings, field))
        except ValueError as reason:
            raise SettingsError(variable(field), str(reason)) from None
    metrics, public = settings.metrics_address, settings.host
    if metrics and metrics[1] == settings.port and not public.startswith("unix:"):
        raise SettingsError(variable("metrics_bind"), "it needs a port other than SCORING_PORT")


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
