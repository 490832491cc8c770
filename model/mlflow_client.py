"""The client of an MLflow server, the extra `mlflow`: imported on use, quiet, and not patient."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from model.errors import ScoringError

_CREDENTIALS: Final = re.compile(r"(https?://)[^\s/@]*@")
# MLflow takes these from the environment alone. It would tell its makers of each use, try a server
# that is not there for minutes, and print addresses, bars and remarks among a command's output.
_USUAL: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MlflowFailed(ScoringError):
    """The server can't be reached or refuses, or the client is not installed."""


class NotOnServer(MlflowFailed):
    """The object does not exist."""


def client() -> Any:
    """The package mlflow. Raises MlflowFailed where it is not installed."""
    for name, value in _USUAL.items():
        os.environ.setdefault(name, value)  # noqa: TID251 - written, and only for MLflow
    try:
        return import_module("mlflow")
    except ModuleNotFoundError as error:
        reason = f"MLflow needs {error.name}, which is not installed: install the extra `mlflow`"
        raise MlflowFailed(reason) from error


def announce(server: str) -> None:
    """Say whom the command waits for, where that is a server: it may not reply."""
    if is_remote(server):
        sys.stderr.write(f"MLflow: {public(server)} (without a reply: up to a minute)\n")


def is_remote(server: str) -> bool:
    """Whether a tracking URI is that of a server, and not of a folder or a database."""
    return server.startswith(("http://", "https://"))


def public(uri: str) -> str:
    """A URI without credentials: no user, no password, no query, no fragment."""
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def failures() -> Iterator[None]:
    """Turn MLflow's exceptions within the block into MlflowFailed."""
    mlflow = client()
    try:
        yield
    except mlflow.exceptions.MlflowException as error:
        is_absent = error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
        line = _CREDENTIALS.sub(r"\1", " ".join(str(error).split()))
        raise (NotOnServer if is_absent else MlflowFailed)(line) from error
