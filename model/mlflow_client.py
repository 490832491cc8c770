"""The client of an MLflow server, the extra `mlflow`: imported on use, quiet, and not patient."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from model.errors import ScoringError

# MLflow takes these from the environment alone. It would tell its makers of each use, try a server
# that is not there for minutes, and print addresses, bars and remarks among a command's output.
_USUAL: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
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


@contextmanager
def failures() -> Iterator[None]:
    """Turn MLflow's exceptions within the block into MlflowFailed."""
    mlflow = client()
    try:
        yield
    except mlflow.exceptions.MlflowException as error:
        is_absent = error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
        line = " ".join(str(error).split())
        raise (NotOnServer if is_absent else MlflowFailed)(line) from error
